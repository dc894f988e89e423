// The definition of every float kernel, in plain C.
#include <math.h>
#include <string.h>

#include "float_constants.h"
#include "p4q_float.h"

#pragma clang fp contract(off)

enum { LANES = 16 };

static uint32_t bits_of(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static float exp_one(float x) {
    x = x < P4Q_EXP_LOW ? P4Q_EXP_LOW : x;
    x = x > P4Q_EXP_HIGH ? P4Q_EXP_HIGH : x;
    if (x != x) return x;
    float exponent = x * P4Q_LOG2_E + P4Q_BIASED_WHOLE, n = exponent - P4Q_BIASED_WHOLE;
    float r = fmaf(n, -P4Q_LN2_HIGH, x);
    r = fmaf(n, -P4Q_LN2_LOW, r);
    float p = P4Q_EXP_P0;
    p = fmaf(p, r, P4Q_EXP_P1);
    p = fmaf(p, r, P4Q_EXP_P2);
    p = fmaf(p, r, P4Q_EXP_P3);
    p = fmaf(p, r, P4Q_EXP_P4);
    p = fmaf(p, r, P4Q_EXP_P5);
    float y = fmaf(p, r * r, r) + 1.0f;
    return y * float_of(bits_of(exponent) << 23);
}

static float quick_gelu_one(float v) {
    float t = v * P4Q_SIGMOID_LOG2;
    t = t < P4Q_EXP2_LOW ? P4Q_EXP2_LOW : t;
    t = t > P4Q_EXP2_HIGH ? P4Q_EXP2_HIGH : t;
    if (t != t) return t;
    float exponent = t + P4Q_BIASED_WHOLE, r = t - (exponent - P4Q_BIASED_WHOLE);
    float p = P4Q_EXP2_P0;
    p = fmaf(p, r, P4Q_EXP2_P1);
    p = fmaf(p, r, P4Q_EXP2_P2);
    p = fmaf(p, r, P4Q_EXP2_P3);
    p = fmaf(p, r, P4Q_EXP2_P4);
    p = fmaf(p, r, P4Q_EXP2_P5);
    float d = fmaf(p, float_of(bits_of(exponent) << 23), 1.0f);
    float inverse = float_of(P4Q_RECIPROCAL_BITS - bits_of(d));
    float h = fmaf(-d, inverse, 1.0f);
    inverse = fmaf(inverse, fmaf(h, h, h), inverse);
    h = fmaf(-d, inverse, 1.0f);
    float y = v * inverse;
    return fmaf(y, h, y);
}

// 1 + erf(v / sqrt 2)
static float one_plus_erf(float v) {
    float x = v * P4Q_SQRT_HALF;
    float a = x < 0 ? -x : x;
    float t = 1.0f / fmaf(P4Q_ERF_P, a, 1.0f);
    float p = P4Q_ERF_A5;
    p = fmaf(p, t, P4Q_ERF_A4);
    p = fmaf(p, t, P4Q_ERF_A3);
    p = fmaf(p, t, P4Q_ERF_A2);
    p = fmaf(p, t, P4Q_ERF_A1);
    float e = fmaf(-(p * t), exp_one(-(a * a)), 1.0f);
    return 1.0f + (x < 0 ? -e : e);
}

static float gelu_one(float v) { return (v * 0.5f) * one_plus_erf(v); }
static float normal_distribution(float v) { return 0.5f * one_plus_erf(v); }

static float sum_lanes(float lanes[LANES]) {
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++) lanes[j] = lanes[j] + lanes[j + half];
    return lanes[0];
}

static void layer_norm(const float *x, size_t x_stride, const float *gamma, const float *beta, float epsilon, size_t rows, size_t n, float *y,
                       size_t y_stride) {
    for (size_t r = 0; r < rows; r++, x += x_stride, y += y_stride) {
        float lanes[LANES] = {0};
        for (size_t i = 0; i < n; i++) lanes[i % LANES] = lanes[i % LANES] + x[i];
        float mean = sum_lanes(lanes) / (float)n;
        float squares[LANES] = {0};
        for (size_t i = 0; i < n; i++) {
            float d = x[i] - mean;
            squares[i % LANES] = fmaf(d, d, squares[i % LANES]);
        }
        float scale = 1.0f / sqrtf(sum_lanes(squares) / (float)n + epsilon);
        for (size_t i = 0; i < n; i++) y[i] = fmaf((x[i] - mean) * scale, gamma[i], beta[i]);
    }
}

static void softmax(float *x, size_t stride, float scale, size_t rows, size_t n, size_t first, size_t step) {
    for (size_t r = 0; r < rows; r++, x += stride) {
        size_t count = first + step * r < n ? first + step * r : n;
        float top = -INFINITY;
        for (size_t i = 0; i < count; i++) top = x[i] > top ? x[i] : top;
        float lanes[LANES] = {0};
        for (size_t i = 0; i < count; i++) {
            x[i] = exp_one((x[i] - top) * scale);
            lanes[i % LANES] = lanes[i % LANES] + x[i];
        }
        float inverse = 1.0f / sum_lanes(lanes);
        for (size_t i = 0; i < count; i++) x[i] = x[i] * inverse;
        for (size_t i = count; i < n; i++) x[i] = 0;
    }
}

static void add_bias(float *x, size_t stride, const float *bias, size_t rows, size_t n) {
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t i = 0; i < n; i++) x[i] = x[i] + bias[i];
}

static void bias_quick_gelu(float *x, size_t stride, const float *bias, size_t rows, size_t n) {
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t i = 0; i < n; i++) x[i] = quick_gelu_one(x[i] + bias[i]);
}

static void bias_gelu(float *x, size_t stride, const float *bias, size_t rows, size_t n) {
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t i = 0; i < n; i++) x[i] = gelu_one(x[i] + bias[i]);
}

static float dot(const float *x, const float *w, size_t n) {
    float lanes[LANES] = {0};
    for (size_t i = 0; i < n; i++) lanes[i % LANES] = fmaf(x[i], w[i], lanes[i % LANES]);
    return sum_lanes(lanes);
}

static void dot_rows(const float *x, const float *w, size_t w_stride, size_t rows, size_t n, float *out) {
    for (size_t i = 0; i < rows; i++) out[i] = dot(x, w + i * w_stride, n);
}

static void normalize(const float *x, size_t n, float *y) {
    float squares = dot(x, x, n);
    float scale = squares > 0 ? 1.0f / sqrtf(squares) : 0.0f;
    for (size_t i = 0; i < n; i++) y[i] = x[i] * scale;
}

static void exp_all(const float *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i++) y[i] = exp_one(x[i]);
}

static double quantization_error(const float *x, size_t n, float scale, float zero, float top) {
    double total = 0;
    for (size_t start = 0; start < n; start += P4Q_ERROR_BLOCK) {
        float lanes[LANES] = {0};
        for (size_t i = start; i < n && i < start + P4Q_ERROR_BLOCK; i++) {
            float q = rintf(x[i] / scale + zero);
            q = q > 0 ? q : 0;
            q = q < top ? q : top;
            float d = (q - zero) * scale - x[i];
            lanes[i % LANES] = fmaf(d, d, lanes[i % LANES]);
        }
        total += (double)sum_lanes(lanes);
    }
    return total;
}

static void range(const float *x, size_t n, float *low, float *high) {
    float l = *low, h = *high;
    for (size_t i = 0; i < n; i++) {
        l = x[i] < l ? x[i] : l;
        h = x[i] > h ? x[i] : h;
    }
    *low = l;
    *high = h;
}

static void layer_norm_gradient(const float *g, size_t g_stride, const float *x, size_t x_stride, const float *gamma, float epsilon, size_t rows,
                                size_t n, float *dx, size_t dx_stride, float *dgamma, float *dbeta) {
    for (size_t r = 0; r < rows; r++, g += g_stride, x += x_stride, dx += dx_stride) {
        float sums[LANES] = {0}, squares[LANES] = {0}, plain[LANES] = {0}, weighted[LANES] = {0};
        for (size_t i = 0; i < n; i++) sums[i % LANES] = sums[i % LANES] + x[i];
        float mean = sum_lanes(sums) / (float)n;
        for (size_t i = 0; i < n; i++) squares[i % LANES] = fmaf(x[i] - mean, x[i] - mean, squares[i % LANES]);
        float root = 1.0f / sqrtf(sum_lanes(squares) / (float)n + epsilon);
        for (size_t i = 0; i < n; i++) {
            float h = g[i] * gamma[i];
            plain[i % LANES] = plain[i % LANES] + h;
            weighted[i % LANES] = fmaf(h, (x[i] - mean) * root, weighted[i % LANES]);
        }
        float a = sum_lanes(plain) / (float)n, b = sum_lanes(weighted) / (float)n;
        for (size_t i = 0; i < n; i++) {
            float u = (x[i] - mean) * root;
            dx[i] = fmaf(root, fmaf(-u, b, g[i] * gamma[i] - a), dx[i]);
            if (dgamma) dgamma[i] = fmaf(g[i], u, dgamma[i]);
            if (dbeta) dbeta[i] = dbeta[i] + g[i];
        }
    }
}

static void softmax_gradient(float *g, size_t g_stride, const float *y, size_t y_stride, float scale, size_t rows, size_t n, size_t first,
                             size_t step) {
    for (size_t r = 0; r < rows; r++, g += g_stride, y += y_stride) {
        size_t count = first + step * r < n ? first + step * r : n;
        float mean = dot(g, y, count);
        for (size_t i = 0; i < count; i++) g[i] = (scale * y[i]) * (g[i] - mean);
        for (size_t i = count; i < n; i++) g[i] = 0;
    }
}

static void quick_gelu_gradient(float *g, const float *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float s = 1.0f / (1.0f + exp_one(v[i] * -P4Q_QUICK_GELU));
        g[i] = g[i] * fmaf((v[i] * P4Q_QUICK_GELU) * s, 1.0f - s, s);
    }
}

static void gelu_gradient(float *g, const float *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float x = v[i] * P4Q_SQRT_HALF, density = P4Q_NORMAL_PEAK * exp_one(-(x * x));
        g[i] = g[i] * fmaf(v[i], density, normal_distribution(v[i]));
    }
}

static void normalize_gradient(const float *g, const float *x, size_t n, float *dx) {
    float squares = dot(x, x, n);
    float scale = squares > 0 ? 1.0f / sqrtf(squares) : 0.0f;
    float along = (dot(g, x, n) * scale) * scale;
    for (size_t i = 0; i < n; i++) dx[i] = fmaf(-along, x[i], g[i]) * scale;
}

static void clip_gradient(float *g, const float *x, size_t n, float inverse_scale, float zero, float top) {
    for (size_t i = 0; i < n; i++) {
        float r = rintf(fmaf(x[i], inverse_scale, zero));
        g[i] = r >= 0 && r <= top ? g[i] : 0;
    }
}

static void requantize(const float *x, size_t n, float inverse_scale, float scale, float zero, float top, float *y) {
    for (size_t i = 0; i < n; i++) {
        float q = fmaf(x[i], inverse_scale, zero);
        q = q > 0 ? q : 0;
        q = q < top ? q : top;
        y[i] = (rintf(q) - zero) * scale;
    }
}

const p4q_float_kernels p4q_float_scalar = {layer_norm, softmax, add_bias, bias_quick_gelu, bias_gelu, dot_rows, normalize, exp_all,
                                            quantization_error, range,
                                            layer_norm_gradient, softmax_gradient, quick_gelu_gradient, gelu_gradient,
                                            normalize_gradient, clip_gradient, requantize};
