"""Functions of float32 out of tables that lie in registers: where 16 floats are a register (AVX-512), one instruction
looks up 16 numbers at once in a table of 32. Elsewhere that takes longer than the formulas, and these serve.

A function is cut into 32 pieces: f(x) = f(c) + t q(t) with t = x - c, and c next to a piece's middle, but such that
f(c) is nearly a float: what is added to it is small, and so its roundings are. A table's first row is c, the second
f(c), then come the coefficients of q; minimax. What has a tail that goes on for ever leaves that to the formula.
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
    static inline FloatVector all_floats(float x) { return (FloatVector)_mm512_set1_ps(x); }
    static inline float first_float(FloatVector x) { return x[0]; }
    /* The second, if one is NaN or both are 0. */
    static inline FloatVector lesser(FloatVector a, FloatVector b) {
        return (FloatVector)_mm512_min_ps((__m512)a, (__m512)b);
    }
    static inline FloatVector greater(FloatVector a, FloatVector b) {
        return (FloatVector)_mm512_max_ps((__m512)a, (__m512)b);
    }
    static inline unsigned which_below(FloatVector x, float bound) {
        return _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(bound), _CMP_LT_OQ);
    }
    static inline int lowest_bit(unsigned x) { return __builtin_ctz(x); }
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
    static inline FloatVector all_floats(float x) { return x; }
    static inline float first_float(FloatVector x) { return x; }
    static inline FloatVector lesser(FloatVector a, FloatVector b) { return a < b ? a : b; }
    static inline FloatVector greater(FloatVector a, FloatVector b) { return a > b ? a : b; }
    static inline unsigned which_below(FloatVector x, float bound) { return x < bound; }
    static inline int lowest_bit(unsigned x) { (void)x; return 0; }
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
    static const float NORMAL_TAIL[7][32] = {
        {0.14549755f, 0.5115228f, 0.9068595f, 1.2310776f, 1.513126f, 1.7662491f, 1.9979286f, 2.2128763f, 2.414273f,
         2.6043584f, 2.7849138f, 2.9572148f, 3.122309f, 3.2810357f, 3.43407f, 3.5819933f, 3.7252777f, 3.8643374f,
         3.9995558f, 4.131193f, 4.25952f, 4.384836f, 4.50723f, 4.6269703f, 4.744298f, 4.859178f, 4.971865f, 5.082507f,
         5.191148f, 5.297954f, 5.4029446f, 5.5061903f},
        {0.44215903f, 0.3044925f, 0.18224055f, 0.10914693f, 0.065123826f, 0.038677037f, 0.0228622f, 0.013453087f,
         0.0078833215f, 0.004602322f, 0.002677098f, 0.0015521587f, 0.00089719257f, 0.00051713333f, 0.0002972952f,
         0.00017049124f, 9.7550175e-5f, 5.569557e-5f, 3.173074e-5f, 1.8044258e-5f, 1.0243316e-5f, 5.8036544e-6f,
         3.2839744e-6f, 1.8552686e-6f, 1.0461533e-6f, 5.893704e-7f, 3.3155908e-7f, 1.8624266e-7f, 1.0450081e-7f,
         5.8553702e-8f, 3.2777862e-8f, 1.8334108e-8f},
        {-0.39474183f, -0.35001945f, -0.26444137f, -0.18698731f, -0.12698153f, -0.08384743f, -0.054214988f,
         -0.034480914f, -0.021638187f, -0.013429789f, -0.008256034f, -0.0050342116f, -0.0030477697f, -0.0018334863f,
         -0.0010968013f, -0.00065277587f, -0.00038672937f, -0.00022815382f, -0.00013406819f, -7.850745e-5f,
         -4.582439e-5f, -2.6660358e-5f, -1.5471687e-5f, -8.954399e-6f, -5.1675065e-6f, -2.976554e-6f, -1.7106105e-6f,
         -9.80819e-7f, -5.613359e-7f, -3.2059177e-7f, -1.8280541e-7f, -1.04090574e-7f},
        {0.028716732f, 0.08951838f, 0.11990461f, 0.11509779f, 0.09606961f, 0.07404784f, 0.05415892f, 0.03815105f,
         0.026120272f, 0.017488003f, 0.011496174f, 0.0074436218f, 0.004758036f, 0.0030078639f, 0.0018832437f,
         0.0011691175f, 0.00072033575f, 0.00044083068f, 0.0002681059f, 0.00016216426f, 9.759465e-5f, 5.845046e-5f,
         3.4867102e-5f, 2.0715792e-5f, 1.2258048e-5f, 7.2317725e-6f, 4.252444e-6f, 2.4924984e-6f, 1.4569821e-6f,
         8.4923613e-7f, 4.938413e-7f, 2.8656981e-7f},
        {0.06439671f, 0.043066412f, 0.007826237f, -0.016066868f, -0.027291063f, -0.029620579f, -0.02703237f,
         -0.02239416f, -0.017414024f, -0.012943342f, -0.009295946f, -0.0064984425f, -0.004444079f, -0.0029840749f,
         -0.0019729466f, -0.0012871407f, -0.0008300383f, -0.0005298208f, -0.00033509496f, -0.00021022931f,
         -0.00013093358f, -8.0989914e-5f, -4.9806997e-5f, -3.0458656e-5f, -1.8524399e-5f, -1.1217638e-5f,
         -6.762575e-6f, -4.059337e-6f, -2.4276376e-6f, -1.4463403e-6f, -8.589524e-7f, -5.0863383e-7f},
        {-0.0070929267f, -0.02022067f, -0.02165387f, -0.014216508f, -0.0057045836f, 0.0007118243f, 0.004452963f,
         0.0060144807f, 0.0061481427f, 0.005508659f, 0.0045552105f, 0.0035644649f, 0.0026774209f, 0.0019480388f,
         0.0013813907f, 0.00095899106f, 0.0006539156f, 0.00043907922f, 0.00029087937f, 0.00019045203f, 0.00012340627f,
         7.920462e-5f, 5.0421295e-5f, 3.1852436e-5f, 1.997503e-5f, 1.2452013e-5f, 7.716132e-6f, 4.754599e-6f,
         2.915341e-6f, 1.7788662e-6f, 1.0808526e-6f, 6.542089e-7f},
        {-0.0093951225f, -0.004251774f, 0.0027924292f, 0.005893764f, 0.0057837544f, 0.004155315f, 0.0022477717f,
         0.0006800727f, -0.00036504015f, -0.0009303866f, -0.0011416809f, -0.0011305602f, -0.0010018544f,
         -0.00082732923f, -0.00064985256f, -0.0004915392f, -0.00036082164f, -0.00025846672f, -0.00018139867f,
         -0.00012510424f, -8.498486e-5f, -5.6971745e-5f, -3.774727e-5f, -2.474943e-5f, -1.6074138e-5f, -1.03514885e-5f,
         -6.61429e-6f, -4.1962453e-6f, -2.6448613e-6f, -1.6569431e-6f, -1.0322335e-6f, -6.397047e-7f},
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
    FloatVector all_floats(float x) noexcept nogil
    float first_float(FloatVector x) noexcept nogil
    FloatVector lesser(FloatVector a, FloatVector b) noexcept nogil
    FloatVector greater(FloatVector a, FloatVector b) noexcept nogil
    unsigned which_below(FloatVector x, float bound) noexcept nogil
    int lowest_bit(unsigned x) noexcept nogil
    FloatVector of_table(const float *of_32, WordVector i) noexcept nogil
    FloatVector of_table_16(const void *of_16, WordVector i) noexcept nogil
    const float[6][32] TANH
    const float[7][32] NORMAL_TAIL
    const float[7][32] LOG1P_EXP
    const uint32_t[16] EXP_BITS
    const float[16] EXP_REST

ctypedef FloatVector (*LookUp)(FloatVector x) noexcept nogil
ctypedef void (*FloatKernel)(const float **x, float *y, npy_intp n) noexcept nogil

cdef enum:
    FAR_OUT = 256           # numbers of a tail that the formula computes at once

cdef inline FloatVector size_of(FloatVector x) noexcept nogil:
    return floats_of(words_of(x) & <uint32_t>0x7fffffff)

cdef void look_up_as(const char *name, void *f32, void *scalar32):
    cdef Kernel kernel = here.kernels[name.decode()]
    kernel.f32, kernel.scalar32 = f32, scalar32


# ---------------------------------------------------------------------------------------------- sigmoid
# As in formulas.pxi, S / (S + S exp(-x)), with exp(-x) = 2^(n/16) exp(t): of 2^(i/16) the bits, less those that i
# itself adds when n is shifted into the exponent, and what they are rounded by.

cdef inline FloatVector sigmoid_reduced(FloatVector x, WordVector *n) noexcept nogil:
    """t, and n with a bias: less than what would make 2^(n/16) infinite, and t the larger, far below 0."""
    cdef float shift = 12582912 - 32 * 16
    cdef FloatVector rounded, whole_part
    x = lesser(all_floats(40), x)
    rounded = lesser(all_floats(shift + (127 + 32) * 16 + 15), x * <float>-23.08312 + shift)
    n[0] = words_of(rounded)
    whole_part = rounded - shift
    x = -x - whole_part * <float>0.043319702
    return x - whole_part * <float>1.9966365e-06

cdef inline FloatVector sigmoid_of(FloatVector t, WordVector n) noexcept nogil:
    cdef FloatVector unit = all_floats(<float>2.3283064365386962891e-10)           # 2^-32
    cdef FloatVector scale = floats_of(words_of(of_table_16(EXP_BITS, n)) + (n << 19)), p
    p = t * <float>0.16667026 + <float>0.5000162
    p = t * p + <float>1
    p = t * p + of_table_16(EXP_REST, n)
    return unit / (unit + (scale * p + scale))

cdef float sigmoid_looked_up(float x) noexcept nogil:
    cdef WordVector n
    cdef FloatVector t = sigmoid_reduced(all_floats(x), &n)
    return first_float(sigmoid_of(t, n))

cdef void sigmoid_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    """The next numbers' steps before the division are these' beside it."""
    cdef const float *a = x[0]
    cdef WordVector k, next_k
    cdef FloatVector t = sigmoid_reduced(load_floats(a), &k), next_t
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        next_t = sigmoid_reduced(load_floats(a + (i + LOOKUPS if i + LOOKUPS < n else i)), &next_k)
        store_floats(sigmoid_of(t, k), y + i)
        t, k = next_t, next_k


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

cdef void tanh_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i from 0 <= i < whole(n, y) by LOOKUPS:
        store_floats(tanh_of(load_floats(x[0] + i)), y + i)


# ---------------------------------------------------------------------------------------------- with a tail

# What the formula is to compute is collected before a result may overwrite it.

cdef struct Few:
    float[FAR_OUT] x
    uint16_t[FAR_OUT] place

cdef npy_intp put_away(Few *few, npy_intp count, const float *x, npy_intp first, unsigned which) noexcept nogil:
    """The numbers from x[first] on that `which` has a bit for. Says how many there are now."""
    cdef npy_intp i
    while which:
        i = first + lowest_bit(which)
        few.x[count], few.place[count] = x[i], <uint16_t>i
        which &= which - 1
        count += 1
    return count

cdef void compute_few(Few *few, npy_intp count, FloatKernel formula, float *y) noexcept nogil:
    """By the formula, whose parameter, if any, is 1."""
    cdef float[FAR_OUT] result
    cdef float one = 1
    cdef const float *operands[2 * MAX_IN]
    cdef npy_intp i, n = (count + 15) & -16
    for i in range(count, n):
        few.x[i] = few.x[0]
    operands[0], operands[MAX_IN] = few.x, NULL
    operands[1] = operands[MAX_IN + 1] = &one
    formula(operands, result, n)
    for i in range(count):
        y[few.place[i]] = result[i]


# gelu: max(x, 0) - a Phi(-a) with a = |x|, from a table of Phi(-a) whose pieces are the shorter the larger a is.

cdef inline FloatVector gelu_of(FloatVector x) noexcept nogil:
    cdef FloatVector a = lesser(all_floats(<float>5.55), size_of(x)), t, tail
    cdef WordVector i = words_of((a + <float>2) * a * <float>0.75 + <float>8388608)
    t = a - of_table(NORMAL_TAIL[0], i)
    tail = t * of_table(NORMAL_TAIL[6], i) + of_table(NORMAL_TAIL[5], i)
    tail = t * tail + of_table(NORMAL_TAIL[4], i)
    tail = t * tail + of_table(NORMAL_TAIL[3], i)
    tail = t * tail + of_table(NORMAL_TAIL[2], i)
    tail = t * tail + of_table(NORMAL_TAIL[1], i)
    return greater(all_floats(<float>-0.0), x) - a * tail

cdef float gelu_looked_up(float x) noexcept nogil:
    return gelu[float](x) if x < <float>-5.55 else first_float(gelu_of(all_floats(x)))

cdef void gelu_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    cdef Few few
    cdef FloatVector at
    cdef unsigned below
    cdef npy_intp i, count = 0
    for i from 0 <= i < n by LOOKUPS:
        at = load_floats(x[0] + i)
        below = which_below(at, <float>-5.55)
        if below:
            count = put_away(&few, count, x[0], i, below)
        store_floats(gelu_of(at), y + i)
        if count > FAR_OUT - LOOKUPS:
            compute_few(&few, count, gelu_block[float], y)
            count = 0
    if count:
        compute_few(&few, count, gelu_block[float], y)


# softplus for beta = 1: max(x, 0) + log1p(exp(-a)), a = |x|, from a table of the latter. t is rounded where a is
# small, and so is the x that is added to it: then softplus never falls. What that sum loses goes along.

cdef inline FloatVector softplus_of(FloatVector x) noexcept nogil:
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
    return total + (t * y + lesser(less - (total - more), all_floats(1)))           # not NaN at infinity

cdef float softplus_looked_up(float x, float beta) noexcept nogil:
    return softplus[float](x, beta) if beta != 1 or x < <float>-17.5 else first_float(softplus_of(all_floats(x)))

cdef void softplus_of_ones(const float *x, uint32_t sign, FloatKernel formula, float *y, npy_intp n) noexcept nogil:
    """softplus, or with a sign bit log_sigmoid."""
    cdef Few few
    cdef FloatVector at
    cdef unsigned below
    cdef npy_intp i, count = 0
    for i from 0 <= i < n by LOOKUPS:
        at = floats_of(words_of(load_floats(x + i)) ^ sign)
        below = which_below(at, <float>-17.5)
        if below:
            count = put_away(&few, count, x, i, below)
        store_floats(floats_of(words_of(softplus_of(at)) ^ sign), y + i)
        if count > FAR_OUT - LOOKUPS:
            compute_few(&few, count, formula, y)
            count = 0
    if count:
        compute_few(&few, count, formula, y)

cdef void softplus_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    cdef float[BLOCK] other
    cdef const float *beta = x[1]
    cdef bint all_ones = uniform(x, 1) and beta[0] == 1, any_one = all_ones
    cdef npy_intp i
    if not uniform(x, 1):
        for i in range(n):
            any_one |= beta[i] == 1
    if not all_ones:
        softplus_block(x, other, n)
    if any_one:
        softplus_of_ones(x[0], 0, softplus_block[float], y, n)
    if not all_ones:
        for i in range(n):
            y[i] = y[i] if beta[i] == 1 else other[i]

cdef float log_sigmoid_looked_up(float x) noexcept nogil:
    return -softplus_looked_up(-x, 1)

cdef void log_sigmoid_lookups(const float **x, float *y, npy_intp n) noexcept nogil:
    softplus_of_ones(x[0], 0x80000000, log_sigmoid_block[float], y, n)


if LOOKUPS > 1:
    look_up_as("sigmoid", <void *>sigmoid_lookups, <void *>sigmoid_looked_up)
    look_up_as("tanh", <void *>tanh_lookups, <void *>tanh_looked_up)
    look_up_as("gelu", <void *>gelu_lookups, <void *>gelu_looked_up)
    look_up_as("softplus", <void *>softplus_lookups, <void *>softplus_looked_up)
    look_up_as("log_sigmoid", <void *>log_sigmoid_lookups, <void *>log_sigmoid_looked_up)
