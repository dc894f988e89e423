// The float kernels for AArch64 Advanced SIMD.
#include "p4q_float.h"

#if defined(__aarch64__)
#pragma clang fp contract(off)

#include "float_math.inc"
#include "float_body.inc"
#include "float_gradients.inc"

const p4q_float_kernels p4q_float_neon = {layer_norm, softmax, add_bias, bias_quick_gelu, bias_gelu, dot_rows, normalize, exp_all,
                                          quantization_error, range,
                                          layer_norm_gradient, softmax_gradient, quick_gelu_gradient, gelu_gradient,
                                          normalize_gradient, clip_gradient, requantize};
#endif
