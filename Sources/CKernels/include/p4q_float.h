// Float kernels whose result is defined down to the last bit: 16 virtual lanes, a fixed reduction tree, one rounding where one is written,
// one polynomial each; no libm, no compiler contraction. `float_scalar.c` is the definition; the other instruction sets give its bits, of a
// NaN only that it is one.
//
// Reductions over a row of n elements: lane j (0..15) takes elements j, j + 16, j + 32, ... in that order; elements past n count as 0 (sums)
// or -inf (maximum). Then lane j takes lane j + 8 (j < 8), j + 4, j + 2, j + 1.
#ifndef P4Q_FLOAT_H
#define P4Q_FLOAT_H

#include <stddef.h>
#include <stdint.h>

#include "p4q_isa.h"

typedef struct {
    // y[r, :] = (x[r, :] - mean) / sqrt(variance + epsilon) * gamma + beta, for rows of n; y may be x.
    // mean = sum / n; variance = sum of fma(d, d, .) / n with d = x - mean; y = fma(d * (1 / sqrt(variance + epsilon)), gamma, beta).
    void (*layer_norm)(const float *x, size_t x_stride, const float *gamma, const float *beta, float epsilon, size_t rows, size_t n, float *y,
                       size_t y_stride);
    // x[r, 0..<count[r]] becomes softmax(scale * x[r, 0..<count[r]]); elements past count[r], up to n, become 0. scale > 0.
    // e = exp((x - max) * scale); y = e * (1 / sum). `first` and `step` give count[r] = min(n, first + step * r).
    void (*softmax)(float *x, size_t stride, float scale, size_t rows, size_t n, size_t first, size_t step);
    // x[r, :] = x[r, :] + bias
    void (*add_bias)(float *x, size_t stride, const float *bias, size_t rows, size_t n);
    // x[r, :] = v * sigmoid(1.702 v) with v = x[r, :] + bias
    void (*bias_quick_gelu)(float *x, size_t stride, const float *bias, size_t rows, size_t n);
    // x[r, :] = 0.5 v (1 + erf(v / sqrt 2)) with v = x[r, :] + bias
    void (*bias_gelu)(float *x, size_t stride, const float *bias, size_t rows, size_t n);
    // out[i] = sum over k of x[k] * w[i, k], for rows i of w
    void (*dot_rows)(const float *x, const float *w, size_t w_stride, size_t rows, size_t n, float *out);
    // y = x * (1 / sqrt(sum of x^2)); a zero vector stays zero
    void (*normalize)(const float *x, size_t n, float *y);
    // y[i] = exp(x[i]), to within 2 units in the last place; 0 < y for x below -87.3
    void (*exp)(const float *x, size_t n, float *y);
    // Sum of ((q - zero) * scale - x)^2 with q = clamp(roundeven(x / scale + zero), 0, top): float lanes over 1024 elements, then double.
    double (*quantization_error)(const float *x, size_t n, float scale, float zero, float top);
    // low = min, high = max of x and of what they held; NaN is ignored.
    void (*range)(const float *x, size_t n, float *low, float *high);

    // Gradients. `g` is the gradient of an operation's output and, where nothing else is said, becomes in place that of its input.

    // dx[r, :] += the gradient of layer_norm's input, from that of its output; the same mean and root as layer_norm's.
    // h = g gamma, u = (x - mean) root: dx + root ((h - sum h / n) - u (sum h u / n)). Where not NULL, dgamma += g u and dbeta += g, row by row.
    void (*layer_norm_gradient)(const float *g, size_t g_stride, const float *x, size_t x_stride, const float *gamma, float epsilon, size_t rows,
                                size_t n, float *dx, size_t dx_stride, float *dgamma, float *dbeta);
    // g[r, 0..<count[r]] = (scale y) (g - sum g y) with y = softmax's output; elements past count[r], up to n, become 0.
    void (*softmax_gradient)(float *g, size_t g_stride, const float *y, size_t y_stride, float scale, size_t rows, size_t n, size_t first,
                             size_t step);
    // g = g (s + 1.702 v s (1 - s)) with s = sigmoid(1.702 v)
    void (*quick_gelu_gradient)(float *g, const float *v, size_t n);
    // g = g (Phi(v) + v phi(v))
    void (*gelu_gradient)(float *g, const float *v, size_t n);
    // dx = (g - y (g . y)) / |x| with y = x / |x|; 0 where x is zero
    void (*normalize_gradient)(const float *g, const float *x, size_t n, float *dx);
    // The straight-through rule: g stays where roundeven(fma(x, inverse_scale, zero)) lies in 0...top, and becomes 0 elsewhere.
    void (*clip_gradient)(float *g, const float *x, size_t n, float inverse_scale, float zero, float top);
    // x = (code - zero) scale with code as an epilogue makes it
    void (*requantize)(const float *x, size_t n, float inverse_scale, float scale, float zero, float top, float *y);
} p4q_float_kernels;

// The table for `isa`. Sets without float kernels of their own (AVX-VNNI, the NEON extensions) share those of the set they extend.
const p4q_float_kernels *p4q_float_kernels_for(p4q_isa isa);

#endif
