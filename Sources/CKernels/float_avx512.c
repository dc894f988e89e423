// The float kernels for AVX-512.
#include "p4q_float.h"

#if defined(__x86_64__)
#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define P4Q_AVX512
#define P4Q_WIDE_LANES
#include "float_math.inc"
#include "float_body.inc"
#include "float_gradients.inc"
#pragma clang attribute pop

const p4q_float_kernels p4q_float_avx512 = {layer_norm, softmax, add_bias, bias_quick_gelu, bias_gelu, dot_rows, normalize, exp_all,
                                          quantization_error, range,
                                            layer_norm_gradient, softmax_gradient, quick_gelu_gradient, gelu_gradient,
                                            normalize_gradient, clip_gradient, requantize};
#endif
