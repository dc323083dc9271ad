"""Functions of float32 out of tables that lie in registers: where 16 floats are a register (AVX-512), one instruction
looks up 16 numbers at once in a table of 32. Elsewhere that takes longer than the formulas, and these serve.

A function is cut into 32 pieces: f(x) = f(c) + t q(t) with t = x - c, and c next to a piece's middle, but such that
f(c) is nearly a float: what is added to it is small, and so its roundings are. A table's first row is c, the second
f(c), then come the coefficients of q; minimax.
"""

cdef extern from *:
    """
    #if defined(__AVX512F__) && defined(__GNUC__)
    #include <immintrin.h>
    #define LOOKUPS 16                          /* at a time */
    typedef float FloatVector __attribute__((vector_size(64)));
    typedef uint32_t WordVector __attribute__((vector_size(64)));
    static inline WordVector words_of(FloatVector x) { return (WordVector)x; }
    static inline FloatVector floats_of(WordVector x) { return (FloatVector)x; }
    static inline FloatVector load_floats(const float *x) { return (FloatVector)_mm512_loadu_ps(x); }
    static inline void store_floats(FloatVector x, float *y) { _mm512_storeu_ps(y, (__m512)x); }
    /* The first n, `rest` behind them. */
    static inline FloatVector load_some_floats(const float *x, int n, FloatVector rest) {
        return (FloatVector)_mm512_mask_loadu_ps((__m512)rest, (1u << n) - 1, x);
    }
    static inline void store_some_floats(FloatVector x, int n, float *y) {
        _mm512_mask_storeu_ps(y, (1u << n) - 1, (__m512)x);
    }
    static inline FloatVector all_floats(float x) { return (FloatVector)_mm512_set1_ps(x); }
    static inline float first_float(FloatVector x) { return x[0]; }
    /* The second, if one is NaN or both are 0. */
    static inline FloatVector lesser(FloatVector a, FloatVector b) {
        return (FloatVector)_mm512_min_ps((__m512)a, (__m512)b);
    }
    static inline FloatVector greater(FloatVector a, FloatVector b) {
        return (FloatVector)_mm512_max_ps((__m512)a, (__m512)b);
    }
    static inline unsigned which_below(FloatVector x, FloatVector bound) {
        return _mm512_cmp_ps_mask((__m512)x, (__m512)bound, _CMP_LT_OQ);
    }
    static inline WordVector with_some_more(WordVector x, unsigned which, uint32_t more) {
        return (WordVector)_mm512_mask_add_epi32((__m512i)x, which, (__m512i)x, _mm512_set1_epi32(more));
    }
    static inline FloatVector one_or_other(unsigned which, FloatVector one, FloatVector other) {
        return (FloatVector)_mm512_mask_mov_ps((__m512)other, which, (__m512)one);
    }
    static inline FloatVector rounded_off_floats(FloatVector a, FloatVector b, FloatVector ab) {
        return (FloatVector)_mm512_fmsub_ps((__m512)a, (__m512)b, (__m512)ab);
    }
    static inline FloatVector of_table(const float *of_32, WordVector i) {
        __m512 low = _mm512_loadu_ps(of_32), high = _mm512_loadu_ps(of_32 + 16);
        return (FloatVector)_mm512_permutex2var_ps(low, (__m512i)i, high);
    }
    static inline FloatVector of_table_16(const void *of_16, WordVector i) {
        return (FloatVector)_mm512_permutexvar_ps((__m512i)i, _mm512_loadu_ps(of_16));
    }
    #else
    #define LOOKUPS 1
    typedef float FloatVector;
    typedef uint32_t WordVector;
    #define words_of float_bits
    #define floats_of bits_float
    static inline FloatVector load_floats(const float *x) { return *x; }
    static inline void store_floats(FloatVector x, float *y) { *y = x; }
    static inline FloatVector load_some_floats(const float *x, int n, FloatVector rest) { return n ? *x : rest; }
    static inline void store_some_floats(FloatVector x, int n, float *y) { if (n) *y = x; }
    static inline FloatVector all_floats(float x) { return x; }
    static inline float first_float(FloatVector x) { return x; }
    static inline FloatVector lesser(FloatVector a, FloatVector b) { return a < b ? a : b; }
    static inline FloatVector greater(FloatVector a, FloatVector b) { return a > b ? a : b; }
    static inline unsigned which_below(FloatVector x, FloatVector bound) { return x < bound; }
    static inline WordVector with_some_more(WordVector x, unsigned which, uint32_t more) {
        return which ? x + more : x;
    }
    static inline FloatVector one_or_other(unsigned which, FloatVector one, FloatVector other) {
        return which ? one : other;
    }
    static inline FloatVector rounded_off_floats(FloatVector a, FloatVector b, FloatVector ab) {
        return fused_float(a, b, -ab);
    }
    static inline FloatVector of_table(const float *of_32, WordVector i) { return of_32[i & 31]; }
    static inline FloatVector of_table_16(const void *of_16, WordVector i) { return ((const float *)of_16)[i & 15]; }
    #endif

    static const float TANH[6][32] = {
        {1.3750014f, 1.6249952f, 1.8750024f, 2.1249936f, 2.3749924f, 2.6249866f, 2.8750074f, 3.1250038f, 3.499997f,
         4.0000215f, 4.500052f, 5.000096f, 5.500356f, 6.00038f, 6.499023f, 6.9983764f, 7.751907f, 8.746186f, 8.746186f,
         8.746186f, 0.0f, 0.09375012f, 0.15624928f, 0.21875001f, 0.31250098f, 0.43749937f, 0.5625036f, 0.687499f,
         0.81249636f, 0.9374976f, 1.0624979f, 1.1875006f},
        {0.879827f, 0.92534554f, 0.9540455f, 0.9718724f, 0.98284477f, 0.9895595f, 0.9936547f, 0.99614656f, 0.9981779f,
         0.9993293f, 0.99975324f, 0.9999092f, 0.9999666f, 0.9999877f, 0.99999547f, 0.99999833f, 0.99999964f,
         0.99999994f, 0.99999994f, 0.99999994f, 0.0f, 0.09347642f, 0.15499003f, 0.21532635f, 0.30271062f, 0.41156954f,
         0.5098326f, 0.5963729f, 0.6709651f, 0.7340704f, 0.786618f, 0.8298021f},
        {0.22590509f, 0.14373553f, 0.089796886f, 0.055463728f, 0.034015905f, 0.02077188f, 0.0126501685f, 0.0076919603f,
         0.0036403395f, 0.0013406813f, 0.0004933894f, 0.00018152258f, 6.6749584e-5f, 2.4557907e-5f, 9.05896e-6f,
         3.3369195e-6f, 7.392308e-7f, 1.0106232e-7f, 1.0106232e-7f, 1.0106232e-7f, 1.0f, 0.99126214f, 0.9759781f,
         0.95363456f, 0.9083661f, 0.8306106f, 0.7400709f, 0.6443396f, 0.5498062f, 0.46114087f, 0.38123232f, 0.3114286f},
        {-0.1987587f, -0.13300577f, -0.08567076f, -0.053903952f, -0.033432525f, -0.020555131f, -0.012569958f,
         -0.007662293f, -0.0036338693f, -0.0013398452f, -0.0004932997f, -0.0001815305f, -6.676644e-5f, -2.4577357e-5f,
         -9.010842e-6f, -3.2821663e-6f, -1.1102957e-6f, 1.7906127e-7f, 1.7906127e-7f, 1.7906127e-7f, 5.9415793e-6f,
         -0.09265914f, -0.15126665f, -0.20534256f, -0.27497056f, -0.34185338f, -0.37731227f, -0.38426664f, -0.3689011f,
         -0.3385101f, -0.2998845f, -0.2584244f},
        {0.09938875f, 0.07519085f, 0.051891256f, 0.03398673f, 0.021586588f, 0.013461939f, 0.008303145f, 0.0050875153f,
         0.0024508692f, 0.00090592814f, 0.00033381188f, 0.00012282506f, 4.513169e-5f, 1.6548334e-5f, 6.0872876e-6f,
         2.2399784e-6f, 5.066352e-7f, 7.049216e-8f, 7.049216e-8f, 7.049216e-8f, -0.33391067f, -0.3216138f,
         -0.30175436f, -0.27356258f, -0.2193352f, -0.1362022f, -0.05453634f, 0.014088576f, 0.06394509f, 0.09451772f,
         0.10862662f, 0.11050946f},
        {-0.021055913f, -0.025113337f, -0.020847753f, -0.014991448f, -0.010025336f, -0.006439238f, -0.00404209f,
         -0.002504918f, -0.0012141512f, -0.00045091982f, -0.0001663605f, -6.112811e-5f, -2.236885e-5f, -8.0565305e-6f,
         -3.692735e-6f, -1.932497e-6f, 1.1904486e-6f, -1.1345669e-6f, -1.1345669e-6f, -1.1345669e-6f, 0.015960725f,
         0.060335625f, 0.09687141f, 0.12716264f, 0.15740891f, 0.16961198f, 0.15334849f, 0.11952146f, 0.08002026f,
         0.04343201f, 0.014543363f, -0.0055074426f},
    };
    static const float GELU[6][32] = {
        {1.3125082f, 1.562504f, 1.8125014f, 2.0624833f, 2.3125074f, 2.5624995f, 2.812495f, 3.0625029f, 3.4374998f,
         3.937519f, 4.43748f, 4.9374804f, 5.4374995f, 5.9375033f, 6.437488f, 6.937496f, 7.687492f, 8.687485f,
         9.687446f, 10.687453f, 12.218747f, 0.0f, 0.09375002f, 0.15624999f, 0.24999996f, 0.37500235f, 0.4999969f,
         0.6250035f, 0.7500018f, 0.8750015f, 1.0000002f, 1.1249948f},
        {0.29404184f, 0.3129271f, 0.327449f, 0.33879074f, 0.3477779f, 0.35499042f, 0.36084893f, 0.3656599f,
         0.37139216f, 0.3770556f, 0.38118038f, 0.3842666f, 0.38662925f, 0.38847423f, 0.38994014f, 0.39112285f,
         0.3925084f, 0.3938537f, 0.39482042f, 0.39553753f, 0.39632213f, 0.0f, 0.043564837f, 0.06926506f, 0.10350801f,
         0.14235233f, 0.17480868f, 0.20209831f, 0.22517465f, 0.24479946f, 0.26157832f, 0.27599725f},
        {0.08634755f, 0.0658736f, 0.051079597f, 0.04020191f, 0.032071926f, 0.025906233f, 0.021164706f, 0.017471619f,
         0.013337725f, 0.00958035f, 0.0070820656f, 0.005365478f, 0.00415215f, 0.0032730878f, 0.0026221809f,
         0.0021308132f, 0.001597537f, 0.0011287326f, 0.000825602f, 0.00062135863f, 0.0004206184f, 0.5f, 0.43137482f,
         0.39178434f, 0.34017342f, 0.28338188f, 0.23755334f, 0.20032725f, 0.16990606f, 0.1448951f, 0.12421424f,
         0.1070195f},
        {-0.04823409f, -0.034551058f, -0.025202228f, -0.01869353f, -0.014081037f, -0.010759452f, -0.008330499f,
         -0.0065289033f, -0.0046256613f, -0.0030251453f, -0.0020485565f, -0.001429671f, -0.0010243388f,
         -0.00075105904f, -0.0005619943f, -0.00042818126f, -0.00029329007f, -0.000185623f, -0.00012284899f,
         -8.4372274e-5f, -5.0328817e-5f, -0.39893863f, -0.3351566f, -0.29906893f, -0.25291184f, -0.20345517f,
         -0.16474536f, -0.13424125f, -0.11005259f, -0.09075105f, -0.07525676f, -0.062746845f},
        {0.022133382f, 0.014979458f, 0.010337202f, 0.0072645643f, 0.0051916586f, 0.0037693456f, 0.0027769452f,
         0.0020737837f, 0.0013756789f, 0.00082325505f, 0.00051279983f, 0.0003307975f, 0.00022008098f, 0.000150436f,
         0.000105361956f, 7.537533e-5f, 4.7519203e-5f, 2.6975125e-5f, 1.6169368e-5f, 1.0141532e-5f, 5.38591e-6f,
         0.249708f, 0.20527132f, 0.18036683f, 0.1491707f, 0.11637773f, 0.09140914f, 0.07226325f, 0.057490826f,
         0.04601679f, 0.037051257f, 0.030002084f},
        {-0.008869883f, -0.005698957f, -0.0037376087f, -0.0025005213f, -0.0017014715f, -0.0011784802f, -0.0008289013f,
         -0.0005926386f, -0.0003680334f, -0.00020268153f, -0.000116694144f, -6.987584e-5f, -4.3280863e-5f,
         -2.760384e-5f, -1.8199296e-5f, -1.2167336e-5f, -7.084728e-6f, -3.6194115e-6f, -1.9727609e-6f, -1.1303266e-6f,
         -5.318511e-7f, -0.12543552f, -0.107142895f, -0.09280189f, -0.075266235f, -0.057057608f, -0.043592747f,
         -0.033516537f, -0.02595342f, -0.020214422f, -0.015851412f, -0.012490707f},
    };
    static const float GELU_SLOPE[6][32] = {
        {1.3124976f, 1.562505f, 1.8124923f, 2.0624948f, 2.312464f, 2.5625112f, 2.8124888f, 3.0625305f, 3.437502f,
         3.9375045f, 4.4371223f, 4.937507f, 5.437472f, 5.9375057f, 6.4375076f, 6.937552f, 7.687455f, 8.687454f,
         9.687642f, 10.6875515f, 13.0437355f, 0.0f, 0.09375045f, 0.15624943f, 0.25000033f, 0.3749995f, 0.5000022f,
         0.62500274f, 0.75179154f, 0.87500346f, 1.0000015f, 1.1250001f},
        {-0.2995792f, -0.42307657f, -0.54241776f, -0.65855354f, -0.7721475f, -0.8837617f, -0.9937184f, -1.1023748f,
         -1.2633235f, -1.475077f, -1.6842492f, -1.8919543f, -2.0981328f, -2.303295f, -2.5076208f, -2.7113051f,
         -3.0157926f, -3.420457f, -3.824055f, -4.226707f, -5.1732893f, 0.5f, 0.42729032f, 0.3809621f, 0.3142963f,
         0.2300014f, 0.15014632f, 0.07401561f, -6.9343855e-9f, -0.06930584f, -0.13736482f, -0.20347874f},
        {-0.5038435f, -0.4849573f, -0.47043598f, -0.45909333f, -0.45010802f, -0.44289383f, -0.43703574f, -0.43222418f,
         -0.42649227f, -0.42082906f, -0.41670668f, -0.41361782f, -0.41125542f, -0.40941033f, -0.40794435f, -0.4067616f,
         -0.4053762f, -0.4040309f, -0.40306398f, -0.40234697f, -0.40124667f, -0.7978845f, -0.75431955f, -0.7286197f,
         -0.69437635f, -0.655533f, -0.6230746f, -0.5957864f, -0.5724062f, -0.5530848f, -0.5363061f, -0.5218867f},
        {0.043174066f, 0.032936685f, 0.025540013f, 0.02010071f, 0.016036512f, 0.0129530225f, 0.010582405f,
         0.008735666f, 0.006668829f, 0.004790209f, 0.0035417336f, 0.002682698f, 0.002076102f, 0.0016365757f,
         0.0013110755f, 0.0010652643f, 0.00079878845f, 0.00056436495f, 0.00041279788f, 0.00031069788f, 0.000173623f,
         0.24999578f, 0.21568678f, 0.19589223f, 0.17008683f, 0.14169168f, 0.11877597f, 0.100164056f, 0.084756285f,
         0.072447196f, 0.06210695f, 0.053509336f},
        {-0.016111968f, -0.011538809f, -0.008415057f, -0.006240803f, -0.004700276f, -0.0035907552f, -0.0027800356f,
         -0.0021782762f, -0.0015475717f, -0.0010115325f, -0.0006847762f, -0.00047763356f, -0.00034212467f,
         -0.00025065153f, -0.00018760483f, -0.00014281846f, -9.8185395e-5f, -6.2092935e-5f, -4.1030613e-5f,
         -2.81676e-5f, -1.3325585e-5f, -0.13277692f, -0.111735694f, -0.09970889f, -0.08437679f, -0.067873165f,
         -0.054955672f, -0.044777993f, -0.036601685f, -0.030268583f, -0.025100697f, -0.020927249f},
        {0.0055514304f, 0.0037521196f, 0.0025868614f, 0.0018182195f, 0.0013009622f, 0.0009414323f, 0.00069441437f,
         0.00051710673f, 0.00034440705f, 0.00020603271f, 0.0001285934f, 8.275594e-5f, 5.5049743e-5f, 3.7266975e-5f,
         2.6384614e-5f, 2.0508869e-5f, 1.1865129e-5f, 6.764362e-6f, 3.9879287e-6f, 2.4524613e-6f, 1.0099069e-6f,
         0.05858819f, 0.051691834f, 0.04515165f, 0.037232317f, 0.029042374f, 0.02279338f, 0.017965f, 0.0143594425f,
         0.01156179f, 0.009284081f, 0.007517589f},
    };
    static const float LOG1P_EXP[7][32] = {
        {0.13888791f, 0.5555586f, 1.111114f, 1.6666653f, 2.2222242f, 2.7777715f, 3.3333135f, 3.8888853f, 4.444414f,
         5.0000095f, 5.5555525f, 6.111101f, 6.666638f, 7.2222524f, 7.777775f, 8.333337f, 8.888931f, 9.444433f,
         9.999996f, 10.555559f, 11.111109f, 11.666685f, 12.222292f, 12.777756f, 13.333344f, 13.888882f, 14.444466f,
         14.999962f, 15.555504f, 16.111103f, 16.666683f, 17.22193f},
        {0.6261125f, 0.45346236f, 0.28457126f, 0.1730082f, 0.10288849f, 0.060320497f, 0.0350531f, 0.020261493f,
         0.011675559f, 0.0067152847f, 0.0038584785f, 0.0022156506f, 0.0012718613f, 0.00072988955f, 0.00041885563f,
         0.00024033975f, 0.00013789746f, 7.9125704e-5f, 4.5399072e-5f, 2.6047932e-5f, 1.4945262e-5f, 8.574744e-6f,
         4.9195455e-6f, 2.822868e-6f, 1.6195775e-6f, 9.2925546e-7f, 5.3314847e-7f, 3.0591394e-7f, 1.7552156e-7f,
         1.00701705e-7f, 5.777653e-8f, 3.3159733e-8f},
        {-0.46533373f, -0.3645757f, -0.24766327f, -0.1588693f, -0.09777243f, -0.058537252f, -0.034445856f,
         -0.020057607f, -0.011607664f, -0.006692787f, -0.0038510438f, -0.0022131978f, -0.0012710526f, -0.0007296232f,
         -0.0004187679f, -0.00024031085f, -0.00013788794f, -7.912257e-5f, -4.539804e-5f, -2.604759e-5f, -1.4945149e-5f,
         -8.574707e-6f, -4.9195332e-6f, -2.822864e-6f, -1.619576e-6f, -9.2925495e-7f, -5.331483e-7f, -3.059139e-7f,
         -1.7552154e-7f, -1.0070169e-7f, -5.777652e-8f, -3.315973e-8f},
        {0.12439901f, 0.11582972f, 0.09316336f, 0.066815324f, 0.044106707f, 0.027555376f, 0.016629655f, 0.009827619f,
         0.0057364358f, 0.0033239783f, 0.0019180948f, 0.0011041425f, 0.00063471426f, 0.0003645429f, 0.00020929483f,
         0.00012012572f, 6.893398e-5f, 3.955788e-5f, 2.269783e-5f, 1.3023366e-5f, 7.4724107e-6f, 4.2872866e-6f,
         2.4597373e-6f, 1.4114181e-6f, 8.0978106e-7f, 4.646238e-7f, 2.6657216e-7f, 1.5295583e-7f, 8.7760135e-8f,
         5.035049e-8f, 2.8888058e-8f, 1.6579747e-8f},
        {-0.0028749085f, -0.01045744f, -0.01567168f, -0.01519459f, -0.011827049f, -0.008109758f, -0.0051613874f,
         -0.0031445182f, -0.0018677984f, -0.0010931909f, -0.0006344586f, -0.00036642925f, -0.00021104001f,
         -0.000121340694f, -6.970866e-5f, -4.00239e-5f, -2.2972366e-5f, -1.31842835e-5f, -7.5654916e-6f,
         -4.3410305e-6f, -2.4908065e-6f, -1.4291154e-6f, -8.1992965e-7f, -4.7048474e-7f, -2.6993453e-7f,
         -1.5487913e-7f, -8.886004e-8f, -5.0986838e-8f, -2.9254284e-8f, -1.6784016e-8f, -9.629651e-9f, -5.52676e-9f},
        {-0.0050961077f, -0.0037471047f, -0.0009273957f, 0.0010865305f, 0.0017208202f, 0.0015345963f, 0.0011099037f,
         0.00072371174f, 0.00044627808f, 0.00026674627f, 0.00015666836f, 9.110076e-5f, 5.26721e-5f, 3.0352101e-5f,
         1.7458964e-5f, 1.00316465e-5f, 5.7602483e-6f, 3.3066765e-6f, 1.8977344e-6f, 1.0889847e-6f, 6.248706e-7f,
         3.5853594e-7f, 2.0570535e-7f, 1.18036255e-7f, 6.77223e-8f, 3.8856875e-8f, 2.2293657e-8f, 1.2791822e-8f,
         7.3395405e-9f, 4.2108748e-9f, 2.41595e-9f, 1.3865915e-9f},
        {0.00028172514f, 0.0009239785f, 0.0009581825f, 0.00045407715f, 3.4320372e-5f, -0.00013647949f, -0.00015427276f,
         -0.00011960833f, -8.02108e-5f, -5.0112256e-5f, -3.0154553e-5f, -1.777412e-5f, -1.0355493e-5f, -5.9938066e-6f,
         -3.4561972e-6f, -1.9887464e-6f, -1.142934e-6f, -6.5636846e-7f, -3.7680337e-7f, -2.1625566e-7f, -1.2410041e-7f,
         -7.121163e-8f, -4.0859717e-8f, -2.3443926e-8f, -1.345136e-8f, -7.71787e-9f, -4.4281614e-9f, -2.540675e-9f,
         -1.4577577e-9f, -8.363815e-10f, -4.798789e-10f, -2.7533467e-10f},
    };
    static const uint32_t EXP_BITS[16] = {
        0x3f800000u, 0x3f7daac3u, 0x3f7b95c2u, 0x3f79c3d3u, 0x3f7837f0u, 0x3f76f532u, 0x3f75fed7u, 0x3f75583fu,
         0x3f7504f3u, 0x3f7508a4u, 0x3f75672au, 0x3f76248cu, 0x3f7744fdu, 0x3f78ccdfu, 0x3f7ac0c7u,
         0x3f7d257du};
    static const float EXP_REST[16] = {
        0.0f, 4.6285468e-8f, -1.19921575e-8f, 4.729782e-8f, 3.193418e-8f, 3.6210572e-8f, -3.0990723e-8f, -7.475213e-9f,
         1.7114271e-8f, -3.0476834e-8f, 5.233334e-9f, 6.1075918e-9f, -1.4719606e-8f, -5.258795e-9f, -6.1282597e-9f,
         5.1406093e-9f};
    """
    enum: LOOKUPS
    ctypedef float FloatVector
    ctypedef uint32_t WordVector
    WordVector words_of(FloatVector x) noexcept nogil
    FloatVector floats_of(WordVector x) noexcept nogil
    FloatVector load_floats(const float *x) noexcept nogil
    void store_floats(FloatVector x, float *y) noexcept nogil
    FloatVector load_some_floats(const float *x, int n, FloatVector rest) noexcept nogil
    void store_some_floats(FloatVector x, int n, float *y) noexcept nogil
    FloatVector all_floats(float x) noexcept nogil
    float first_float(FloatVector x) noexcept nogil
    FloatVector lesser(FloatVector a, FloatVector b) noexcept nogil
    FloatVector greater(FloatVector a, FloatVector b) noexcept nogil
    unsigned which_below(FloatVector x, FloatVector bound) noexcept nogil
    WordVector with_some_more(WordVector x, unsigned which, uint32_t more) noexcept nogil
    FloatVector one_or_other(unsigned which, FloatVector one, FloatVector other) noexcept nogil
    FloatVector rounded_off_floats(FloatVector a, FloatVector b, FloatVector ab) noexcept nogil
    FloatVector of_table(const float *of_32, WordVector i) noexcept nogil
    FloatVector of_table_16(const void *of_16, WordVector i) noexcept nogil
    const float[6][32] TANH
    const float[6][32] GELU
    const float[6][32] GELU_SLOPE
    const float[7][32] LOG1P_EXP
    const uint32_t[16] EXP_BITS
    const float[16] EXP_REST

cdef inline FloatVector size_of(FloatVector x) noexcept nogil:
    return floats_of(words_of(x) & <uint32_t>0x7fffffff)

ctypedef void (*FloatKernel)(const float **x, float *y, npy_intp n) noexcept nogil

cdef void look_up_as(const char *name, void *f32, void *scalar32):
    cdef Kernel kernel = here.kernels[name.decode()]
    kernel.f32, kernel.scalar32 = f32, scalar32


cdef void where_one(FloatKernel of_one, FloatKernel of_any, int parameter, const float **x, float *y,
                    npy_intp n) noexcept nogil:
    """A function that is another one, out of a table, where a parameter is 1."""
    cdef float[BLOCK] one
    cdef float[BLOCK] other
    cdef const float *values = x[parameter]
    cdef npy_intp i, ones = 0
    if uniform(x, parameter):
        ones = n if values[0] == 1 else 0
    else:
        for i in range(whole(n, y)):
            ones += values[i] == 1
    if ones == 0:
        of_any(x, y, n)
    elif ones == n:
        of_one(x, y, n)
    else:
        of_one(x, one, n)
        of_any(x, other, n)
        for i in range(whole(n, y)):
            y[i] = one[i] if values[i] == 1 else other[i]


# ---------------------------------------------------------------------------------------------- exp
# exp(z) = 2^(n/16) exp(t): of 2^(i/16) the bits, less those that i itself adds when n is shifted into the exponent, and
# what they are rounded by. n is the low bits of z 16/ln2 and a constant that leaves no room for a fraction.

cdef inline FloatVector without_ln2_16(FloatVector z, FloatVector n, float parts) noexcept nogil:
    """t from z, and n; both times `parts`."""
    z = z - n * (parts * <float>0.043319702)
    return z - n * (parts * <float>1.9966365e-06)

cdef inline FloatVector exp_looked_up(FloatVector t, WordVector n, float parts) noexcept nogil:
    """Of such a t."""
    cdef float one = 1 / parts
    cdef FloatVector scale = floats_of(words_of(of_table_16(EXP_BITS, n)) + (n << 19)), p
    p = t * (one * one * one * <float>0.16667026) + one * one * <float>0.5000162
    p = t * p + one
    p = t * p + of_table_16(EXP_REST, n)
    return scale * p + scale

cdef inline FloatVector far_exp_looked_up(FloatVector z) noexcept nogil:
    """exp(z) exp_unit() of z <= 0."""
    cdef float shift = 12582912 + 64 * 16               # exp_unit() is 2^64
    cdef FloatVector rounded
    z = greater(all_floats(<float>-132.4), z)
    rounded = z * <float>23.08312 + shift
    return exp_looked_up(without_ln2_16(z, rounded - shift, 1), words_of(rounded), 1)


# ---------------------------------------------------------------------------------------------- sigmoid
# As in formulas.pxi, S / (S + S exp(-x)).

cdef inline FloatVector sigmoid_reduced(FloatVector x, WordVector *n) noexcept nogil:
    """t, and n: less than what would make 2^(n/16) infinite, and t the larger, far below 0."""
    cdef float shift = 12582912 - 32 * 16
    cdef FloatVector rounded
    x = lesser(all_floats(40), x)
    rounded = lesser(x * <float>-23.08312 + shift, all_floats(shift + (127 + 32) * 16 + 15))    # also of NaN
    n[0] = words_of(rounded)
    return without_ln2_16(-x, rounded - shift, 1)

cdef inline FloatVector sigmoid_of(FloatVector t, WordVector n) noexcept nogil:
    cdef FloatVector unit = all_floats(<float>2.3283064365386962891e-10)                # 2^-32
    return unit / (unit + exp_looked_up(t, n, 1))

cdef float sigmoid_looked_up(float x) noexcept nogil:
    cdef WordVector n
    cdef FloatVector t = sigmoid_reduced(all_floats(x), &n)
    return first_float(sigmoid_of(t, n))

cdef inline void sigmoid_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    """The next numbers' steps before the division are these' beside it."""
    cdef const float *a = x[0]
    cdef WordVector k, next_k
    cdef FloatVector t = sigmoid_reduced(load_floats(a), &k), next_t
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        next_t = sigmoid_reduced(load_floats(a + (i + LOOKUPS if i + LOOKUPS < n else i)), &next_k)
        store_floats(sigmoid_of(t, k), y + i)
        t, k = next_t, next_k

# silu, x / (S + S exp(-x)) S: not -inf / inf far below 0, and x over 40, where the first factor may be infinite.

cdef inline FloatVector silu_of(FloatVector x, FloatVector t, WordVector n) noexcept nogil:
    cdef FloatVector unit = all_floats(<float>2.3283064365386962891e-10)
    cdef FloatVector y = greater(all_floats(-128), x) / (unit + exp_looked_up(t, n, 1)) * unit
    return one_or_other(which_below(all_floats(40), x), x, y)

cdef float silu_looked_up(float x) noexcept nogil:
    cdef WordVector n
    cdef FloatVector t = sigmoid_reduced(all_floats(x), &n)
    return first_float(silu_of(all_floats(x), t, n))

cdef inline void silu_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    """As sigmoid's."""
    cdef WordVector k, next_k
    cdef FloatVector at = load_floats(x[0]), t = sigmoid_reduced(at, &k), next_at, next_t
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        next_at = load_floats(x[0] + (i + LOOKUPS if i + LOOKUPS < n else i))
        next_t = sigmoid_reduced(next_at, &next_k)
        store_floats(silu_of(at, t, k), y + i)
        at, t, k = next_at, next_t, next_k

cdef float swish_looked_up(float x, float beta) noexcept nogil:
    return silu_looked_up(x) if beta == 1 else swish(x, beta)

cdef void swish_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    where_one(silu_lookups, swish_block[float], 1, x, y, n)


# ---------------------------------------------------------------------------------------------- tanh
# Eight pieces an octave of |x| + 3/4, so that the first, with c = 0, is small; from 9.1 on it is 1.

cdef inline FloatVector tanh_of(FloatVector x) noexcept nogil:
    cdef FloatVector a = lesser(all_floats(<float>9.1), size_of(x)), t, y
    cdef WordVector i = words_of(a + <float>0.75) >> 20
    t = a - of_table(TANH[0], i)
    y = t * of_table(TANH[5], i) + of_table(TANH[4], i)
    y = t * y + of_table(TANH[3], i)
    y = t * y + of_table(TANH[2], i)
    y = t * y + of_table(TANH[1], i)
    return floats_of(words_of(y) | (words_of(x) & <uint32_t>0x80000000))

cdef float tanh_looked_up(float x) noexcept nogil:
    return first_float(tanh_of(all_floats(x)))

cdef inline void tanh_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        store_floats(tanh_of(load_floats(x[0] + i)), y + i)


# ---------------------------------------------------------------------------------------------- gelu
# max(x, 0) - a Phi(-a) with a = |x|, and a Phi(-a) = exp(-a^2/2) g: a table of g, which is smooth, eight pieces an
# octave of a + 13/16. Far out the exponential comes times 2^32, and g times the inverse.

cdef inline FloatVector times_density(FloatVector x, const float *table) noexcept nogil:
    """exp(-a^2/2) times what the table, six rows of 32, is of."""
    cdef float shift = 12582912
    cdef FloatVector a = lesser(all_floats(<float>14.846), size_of(x)), square = a * a, rounded, t, e, g
    cdef WordVector i = words_of(lesser(all_floats(<float>12.9), a + <float>0.8125)) >> 20
    cdef unsigned far = which_below(all_floats(8), a)
    rounded = square * <float>-11.54156 + shift
    t = without_ln2_16(-square, rounded - shift, 2) - rounded_off_floats(a, a, square)
    e = exp_looked_up(t, with_some_more(words_of(rounded), far, 32 * 16), 2)
    t = a - of_table(table, i)
    g = t * of_table(table + 5 * 32, i) + of_table(table + 4 * 32, i)
    g = t * g + of_table(table + 3 * 32, i)
    g = t * g + of_table(table + 2 * 32, i)
    g = t * g + of_table(table + 32, i)
    return e * one_or_other(far, g * <float>2.3283064365386962891e-10, g)

cdef inline FloatVector gelu_of(FloatVector x) noexcept nogil:
    return greater(all_floats(<float>-0.0), x) - times_density(x, &GELU[0][0])

cdef float gelu_looked_up(float x) noexcept nogil:
    return first_float(gelu_of(all_floats(x)))

cdef inline void gelu_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        store_floats(gelu_of(load_floats(x[0] + i)), y + i)

# The gradient, Phi(x) + x phi(x), is exp(-a^2/2) r below 0, 1 less that above. r has a zero, which is next to a c.

cdef inline FloatVector gelu_slope_of(FloatVector x) noexcept nogil:
    cdef FloatVector below = times_density(x, &GELU_SLOPE[0][0])
    return one_or_other(which_below(x, all_floats(0)), below, all_floats(1) - below)

cdef inline void gelu_backward_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        store_floats(load_floats(x[0] + i) * gelu_slope_of(load_floats(x[1] + i)), y + i)


# ---------------------------------------------------------------------------------------------- softplus, log_sigmoid
# For beta = 1: max(x, 0) + log1p(exp(-a)), a = |x|, from a table of the latter. t is rounded where a is small, and so
# is the x that is added to it: then softplus never falls. What that sum loses goes along. Far below 0 it is exp(x),
# which comes times exp_unit(); such x are left as they are at first, and found again, if there are any: no result is so
# low.

cdef inline FloatVector softplus_tail(FloatVector x) noexcept nogil:
    return far_exp_looked_up(x) * exp_unit_inverse(<float>0)

cdef inline FloatVector softplus_near(FloatVector x) noexcept nogil:
    cdef FloatVector a = lesser(all_floats(<float>17.5), size_of(x)), centre, t, y, base, positive, more, less, total
    cdef WordVector i = words_of(a * <float>1.8 + <float>8388608)
    centre = of_table(LOG1P_EXP[0], i)
    t = a - centre
    y = t * of_table(LOG1P_EXP[6], i) + of_table(LOG1P_EXP[5], i)
    y = t * y + of_table(LOG1P_EXP[4], i)
    y = t * y + of_table(LOG1P_EXP[3], i)
    y = t * y + of_table(LOG1P_EXP[2], i)
    base = of_table(LOG1P_EXP[1], i)
    positive = greater(x - (a - (centre + t)), all_floats(0))
    more, less = greater(base, positive), lesser(base, positive)
    total = more + less
    return total + (t * y + lesser(less - (total - more), all_floats(1)))               # not NaN at infinity

cdef float softplus_looked_up(float x, float beta) noexcept nogil:
    if beta != 1:
        return softplus(x, beta)
    return first_float(softplus_tail(all_floats(x)) if x < <float>-17.5 else softplus_near(all_floats(x)))

cdef void softplus_of_one_lookups(const float *x, uint32_t sign, float *y, npy_intp n) noexcept nogil:
    """softplus, or with a sign bit log_sigmoid."""
    cdef FloatVector at
    cdef unsigned far, any_far = 0
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        at = floats_of(words_of(load_floats(x + i)) ^ sign)
        far = which_below(at, all_floats(<float>-17.5))
        store_floats(floats_of(words_of(one_or_other(far, at, softplus_near(at))) ^ sign), y + i)
        any_far |= far
    if any_far:
        for i from 0 <= i < whole(n, y) by LOOKUPS:
            at = floats_of(words_of(load_floats(y + i)) ^ sign)
            far = which_below(at, all_floats(<float>-17.5))
            if far:
                store_floats(floats_of(words_of(one_or_other(far, softplus_tail(at), at)) ^ sign), y + i)

cdef void softplus_one_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    softplus_of_one_lookups(x[0], 0, y, n)

cdef void softplus_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    where_one(softplus_one_lookups, softplus_block[float], 1, x, y, n)

cdef float log_sigmoid_looked_up(float x) noexcept nogil:
    return -softplus_looked_up(-x, 1)

cdef void log_sigmoid_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    softplus_of_one_lookups(x[0], 0x80000000, y, n)


# ---------------------------------------------------------------------------------------------- gradients
# As in gradients.pxi, with e = exp(-|x|) from the table of 16.

cdef inline FloatVector sigmoid_slope_of(FloatVector z, float factor) noexcept nogil:
    """factor e / (1 + e)^2 with e = exp(z)."""
    cdef float unit = exp_unit_inverse(factor)
    cdef FloatVector scaled = far_exp_looked_up(z), e = scaled * unit
    return scaled / (e * (e + <float>2.0) + <float>1.0) * (factor * unit)

cdef inline void sigmoid_backward_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        store_floats(load_floats(x[0] + i) * sigmoid_slope_of(-size_of(load_floats(x[1] + i)), 1), y + i)

cdef inline void tanh_backward_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        store_floats(load_floats(x[0] + i) * sigmoid_slope_of(size_of(load_floats(x[1] + i)) * <float>-2.0, 4), y + i)

cdef inline FloatVector silu_slope_of(FloatVector x) noexcept nogil:
    cdef float unit = exp_unit_inverse(<float>0)
    cdef FloatVector q = lesser(all_floats(<float>132.4), size_of(x)), scaled = far_exp_looked_up(-q), e = scaled * unit
    cdef unsigned below = which_below(x, all_floats(0))
    cdef FloatVector top = one_or_other(below, scaled * (<float>1.0 - q + e), q * e + e + <float>1.0)
    return top / (e * (e + <float>2.0) + <float>1.0) * one_or_other(below, all_floats(unit), all_floats(1))

cdef inline void silu_backward_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        store_floats(load_floats(x[0] + i) * silu_slope_of(load_floats(x[1] + i)), y + i)

cdef void swish_backward_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    where_one(silu_backward_lookups, swish_backward_block[float], 2, x, y, n)


if LOOKUPS > 1:
    look_up_as("sigmoid", <void *>sigmoid_lookups, <void *>sigmoid_looked_up)
    look_up_as("tanh", <void *>tanh_lookups, <void *>tanh_looked_up)
    look_up_as("silu", <void *>silu_lookups, <void *>silu_looked_up)
    look_up_as("swish", <void *>swish_lookups, <void *>swish_looked_up)
    look_up_as("gelu", <void *>gelu_lookups, <void *>gelu_looked_up)
    look_up_as("gelu_backward", <void *>gelu_backward_lookups, NULL)
    look_up_as("softplus", <void *>softplus_lookups, <void *>softplus_looked_up)
    look_up_as("log_sigmoid", <void *>log_sigmoid_lookups, <void *>log_sigmoid_looked_up)
    look_up_as("sigmoid_backward", <void *>sigmoid_backward_lookups, NULL)
    look_up_as("tanh_backward", <void *>tanh_backward_lookups, NULL)
    look_up_as("silu_backward", <void *>silu_backward_lookups, NULL)
    look_up_as("swish_backward", <void *>swish_backward_lookups, NULL)
