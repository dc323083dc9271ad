"""Functions of 16-bit floats in one pass, cheap ones and those out of tables: widened, computed and narrowed in
registers.

To store and load blocks between these steps, as the driver does, takes longer than such a function itself. Here the
block kernel of float32 is inlined and given a few vectors at a time: the compiler then finds that its arrays are
registers. What has two stages or more gains nothing: they overlap better in larger blocks.
"""

cdef enum:
    PIECE = VECTOR // 2       # numbers: a whole vector of them as they are stored

cdef struct Piece:
    float[PIECE] wide

cdef struct half:
    uint16_t bits

cdef struct bfloat16:
    uint16_t bits

ctypedef fused narrow:
    half
    bfloat16

cdef inline void widen(const narrow *x, Piece *y) noexcept nogil:
    """bfloat16: first those that are the low halves of 32 bits, then the high ones. So no vector is permuted."""
    cdef uint32_t pair
    cdef npy_intp i
    if narrow is half:
        for i from 0 <= i < PIECE by HALVES:
            widen_halves(x + i, &y.wide[i])
    else:
        for i in range(PIECE // 2):
            memcpy(&pair, x + 2 * i, sizeof(pair))
            y.wide[i] = bits_float(pair << 16)
            y.wide[PIECE // 2 + i] = bits_float(pair & <uint32_t>0xffff0000)

cdef inline uint32_t rounded_bits(float x, bint exact) noexcept nogil:
    """To bfloat16, in the upper half; `exact`: it is one. A NaN, made of one or by an operation, has no bits below it,
    and so stays what it is."""
    cdef uint32_t bits = float_bits(x)
    return bits if exact else bits + 0x7fff + ((bits >> 16) & 1)

cdef inline void narrow_piece(const Piece *x, bint exact, narrow *y) noexcept nogil:
    cdef uint32_t pair
    cdef npy_intp i
    if narrow is half:
        for i from 0 <= i < PIECE by HALVES:
            narrow_halves(&x.wide[i], y + i)
    else:
        for i in range(PIECE // 2):
            pair = rounded_bits(x.wide[i], exact) >> 16
            pair = pair | (rounded_bits(x.wide[PIECE // 2 + i], exact) & <uint32_t>0xffff0000)
            memcpy(y + 2 * i, &pair, sizeof(pair))

cdef void quieten(int16_t *y, npy_intp n) noexcept nogil:
    """Every NaN of bfloat16 becomes the quiet one of its sign."""
    cdef int16_t size, most = 0
    cdef npy_intp i
    for i in range(whole(n, y)):
        size = y[i] & 0x7fff
        most = size if size > most else most
    if most > 0x7f80:
        for i in range(whole(n, y)):
            size = y[i] & 0x7fff
            y[i] = (y[i] & -0x8000) | 0x7fc0 if size > 0x7f80 else y[i]

cdef void in_blocks(FloatKernel kernel, int nin, const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    """As the driver does it."""
    cdef Block[MAX_IN + 1] blocks
    cdef const float *operands[2 * MAX_IN]
    cdef Piece *piece
    cdef npy_intp i
    cdef int k
    for k in range(nin):
        piece = <Piece *>&blocks[k]
        operands[k], operands[MAX_IN + k] = piece.wide, NULL
        for i in range(n // PIECE):
            widen(x[k] + i * PIECE, &piece[i])
    piece = <Piece *>&blocks[nin]
    kernel(operands, piece.wide, n)
    for i in range(n // PIECE):
        narrow_piece(&piece[i], False, y + i * PIECE)

cdef inline void in_one_pass(FloatKernel kernel, int arrays, int parameters, bint exact, Piece *pieces,
                             const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    """pieces: one more than operands, the caller's, or gcc would not inline this. exact: a result is one of these."""
    cdef const float *operands[2 * MAX_IN]
    cdef bint all_uniform = True
    cdef npy_intp i
    cdef int k, nin = arrays + parameters
    for k in range(arrays, nin):
        all_uniform = all_uniform and x[MAX_IN + k] != NULL
    if all_uniform:
        for k in range(nin):
            operands[k], operands[MAX_IN + k] = pieces[k].wide, NULL if k < arrays else pieces[k].wide
        for k in range(arrays, nin):
            widen(x[k], &pieces[k])
        for i from 0 <= i < n by PIECE:
            for k in range(arrays):
                widen(x[k] + i, &pieces[k])
            kernel(operands, pieces[nin].wide, PIECE)
            narrow_piece(&pieces[nin], exact, y + i)
    else:
        in_blocks(kernel, nin, x, y, n)
    if narrow is bfloat16:
        quieten(<int16_t *>y, n)

cdef void leaky_relu_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(leaky_relu_block[float], 1, 1, False, pieces, x, y, n)

cdef void hard_tanh_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[4] pieces
    in_one_pass(hard_tanh_block[float], 1, 2, True, pieces, x, y, n)

cdef void hard_sigmoid_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[2] pieces
    in_one_pass(hard_sigmoid_block[float], 1, 0, False, pieces, x, y, n)

cdef void hard_swish_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[2] pieces
    in_one_pass(hard_swish_block[float], 1, 0, False, pieces, x, y, n)

cdef void elu_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(elu_block[float], 1, 1, False, pieces, x, y, n)

cdef void selu_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[2] pieces
    in_one_pass(selu_block[float], 1, 0, False, pieces, x, y, n)

cdef void softsign_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[2] pieces
    in_one_pass(softsign_block[float], 1, 0, False, pieces, x, y, n)

cdef void hard_shrink_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(hard_shrink_block[float], 1, 1, True, pieces, x, y, n)

cdef void soft_shrink_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(soft_shrink_block[float], 1, 1, False, pieces, x, y, n)

cdef void threshold_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[4] pieces
    in_one_pass(threshold_block[float], 1, 2, True, pieces, x, y, n)

cdef void relu_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(relu_backward_block[float], 2, 0, True, pieces, x, y, n)

cdef void leaky_relu_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[4] pieces
    in_one_pass(leaky_relu_backward_block[float], 2, 1, False, pieces, x, y, n)

cdef void relu6_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(relu6_backward_block[float], 2, 0, True, pieces, x, y, n)

cdef void hard_tanh_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[5] pieces
    in_one_pass(hard_tanh_backward_block[float], 2, 2, True, pieces, x, y, n)

cdef void hard_sigmoid_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(hard_sigmoid_backward_block[float], 2, 0, False, pieces, x, y, n)

cdef void hard_swish_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(hard_swish_backward_block[float], 2, 0, False, pieces, x, y, n)

cdef void softsign_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(softsign_backward_block[float], 2, 0, False, pieces, x, y, n)

cdef void hard_shrink_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[4] pieces
    in_one_pass(hard_shrink_backward_block[float], 2, 1, True, pieces, x, y, n)

cdef void threshold_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[5] pieces
    in_one_pass(threshold_backward_block[float], 2, 2, True, pieces, x, y, n)

cdef void sigmoid_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[2] pieces
    in_one_pass(sigmoid_lookups, 1, 0, False, pieces, x, y, n)

cdef void tanh_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[2] pieces
    in_one_pass(tanh_lookups, 1, 0, False, pieces, x, y, n)

cdef void silu_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[2] pieces
    in_one_pass(silu_lookups, 1, 0, False, pieces, x, y, n)

cdef void gelu_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[2] pieces
    in_one_pass(gelu_lookups, 1, 0, False, pieces, x, y, n)

cdef void sigmoid_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(sigmoid_backward_lookups, 2, 0, False, pieces, x, y, n)

cdef void tanh_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(tanh_backward_lookups, 2, 0, False, pieces, x, y, n)

cdef void gelu_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(gelu_backward_lookups, 2, 0, False, pieces, x, y, n)

cdef void silu_backward_narrow(const narrow **x, narrow *y, npy_intp n) noexcept nogil:
    cdef Piece[3] pieces
    in_one_pass(silu_backward_lookups, 2, 0, False, pieces, x, y, n)

cdef store_as(const char *name, void *of_half, void *of_bfloat16):
    cdef Kernel kernel = here.kernels[name.decode()]
    kernel.as_stored = {"e": <size_t>of_half, "E": <size_t>of_bfloat16}

if HALVES > 1:              # elsewhere the driver's way is about as fast
    store_as("leaky_relu", <void *>leaky_relu_narrow[half], <void *>leaky_relu_narrow[bfloat16])
    store_as("hard_tanh", <void *>hard_tanh_narrow[half], <void *>hard_tanh_narrow[bfloat16])
    store_as("hard_sigmoid", <void *>hard_sigmoid_narrow[half], <void *>hard_sigmoid_narrow[bfloat16])
    store_as("hard_swish", <void *>hard_swish_narrow[half], <void *>hard_swish_narrow[bfloat16])
    store_as("elu", <void *>elu_narrow[half], <void *>elu_narrow[bfloat16])
    store_as("selu", <void *>selu_narrow[half], <void *>selu_narrow[bfloat16])
    store_as("softsign", <void *>softsign_narrow[half], <void *>softsign_narrow[bfloat16])
    store_as("hard_shrink", <void *>hard_shrink_narrow[half], <void *>hard_shrink_narrow[bfloat16])
    store_as("soft_shrink", <void *>soft_shrink_narrow[half], <void *>soft_shrink_narrow[bfloat16])
    store_as("threshold", <void *>threshold_narrow[half], <void *>threshold_narrow[bfloat16])
    store_as("relu_backward", <void *>relu_backward_narrow[half], <void *>relu_backward_narrow[bfloat16])
    store_as("leaky_relu_backward", <void *>leaky_relu_backward_narrow[half],
             <void *>leaky_relu_backward_narrow[bfloat16])
    store_as("relu6_backward", <void *>relu6_backward_narrow[half], <void *>relu6_backward_narrow[bfloat16])
    store_as("hard_tanh_backward", <void *>hard_tanh_backward_narrow[half], <void *>hard_tanh_backward_narrow[bfloat16])
    store_as("hard_sigmoid_backward", <void *>hard_sigmoid_backward_narrow[half],
             <void *>hard_sigmoid_backward_narrow[bfloat16])
    store_as("hard_swish_backward", <void *>hard_swish_backward_narrow[half],
             <void *>hard_swish_backward_narrow[bfloat16])
    store_as("softsign_backward", <void *>softsign_backward_narrow[half], <void *>softsign_backward_narrow[bfloat16])
    store_as("hard_shrink_backward", <void *>hard_shrink_backward_narrow[half],
             <void *>hard_shrink_backward_narrow[bfloat16])
    store_as("soft_shrink_backward", <void *>hard_shrink_backward_narrow[half],
             <void *>hard_shrink_backward_narrow[bfloat16])
    store_as("threshold_backward", <void *>threshold_backward_narrow[half], <void *>threshold_backward_narrow[bfloat16])
if LOOKUPS > 1:
    store_as("sigmoid", <void *>sigmoid_narrow[half], <void *>sigmoid_narrow[bfloat16])
    store_as("tanh", <void *>tanh_narrow[half], <void *>tanh_narrow[bfloat16])
    store_as("silu", <void *>silu_narrow[half], <void *>silu_narrow[bfloat16])
    store_as("gelu", <void *>gelu_narrow[half], <void *>gelu_narrow[bfloat16])
    store_as("sigmoid_backward", <void *>sigmoid_backward_narrow[half], <void *>sigmoid_backward_narrow[bfloat16])
    store_as("tanh_backward", <void *>tanh_backward_narrow[half], <void *>tanh_backward_narrow[bfloat16])
    store_as("gelu_backward", <void *>gelu_backward_narrow[half], <void *>gelu_backward_narrow[bfloat16])
    store_as("silu_backward", <void *>silu_backward_narrow[half], <void *>silu_backward_narrow[bfloat16])
