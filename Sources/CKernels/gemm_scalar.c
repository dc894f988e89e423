// The definition of the integer product and of what follows it, in plain C.
// M rows of activations, N output channels, K inputs.
#include <math.h>

#include "gemm_internal.h"
#include "p4q_float.h"

#pragma clang fp contract(off)

static float activated(p4q_store store, float y) {
    const p4q_float_kernels *kernels = p4q_float_kernels_for(P4Q_ISA_SCALAR);
    const float nothing = -0.0f;  // y + -0 is y, for -0 as well
    if (store == P4Q_STORE_QUICK_GELU_CODES) kernels->bias_quick_gelu(&y, 1, &nothing, 1, 1);
    if (store == P4Q_STORE_GELU_CODES) kernels->bias_gelu(&y, 1, &nothing, 1, 1);
    return y;
}

static uint8_t requantized(const p4q_epilogue *e, float v) {
    float q = fmaf(v, e->inverse_scale, e->zero_point);
    q = q > 0 ? q : 0;  // NaN becomes 0
    q = q < e->top ? q : e->top;
    return (uint8_t)rintf(q);
}

static void store(const p4q_epilogue *e, int64_t m, int64_t n, int32_t acc) {
    if (e->out_visible >= 0 && n >= e->out_visible + m) return;
    int64_t at = m * e->out_stride + n;
    float y = fmaf((float)acc, e->scale ? e->scale[n] : e->common_scale, e->bias ? e->bias[n] : 0.0f);
    switch (e->store) {
    case P4Q_STORE_SUMS: ((int32_t *)e->out)[at] = acc; break;
    case P4Q_STORE_FLOATS: ((float *)e->out)[at] = y; break;
    case P4Q_ADD_FLOATS: ((float *)e->out)[at] = ((float *)e->out)[at] + y; break;
    default: ((uint8_t *)e->out)[at] = requantized(e, activated(e->store, y));
    }
}

void p4q_gemm_scalar(const p4q_gemm *g, void *scratch) {
    int8_t *codes = scratch;  // a channel's
    for (int64_t n = g->first_panel * P4Q_PANEL; n < smaller(g->n, g->end_panel * P4Q_PANEL); n++) {
        p4q_unpack_channel(g->w, n, g->k, g->w_bits, codes);
        for (int64_t m = 0; m < g->m; m++) {
            const uint8_t *a = g->a + m * g->a_stride;
            int64_t visible = g->a_visible < 0 ? g->k : smaller(g->k, g->a_visible + m);
            uint32_t acc = 0;  // unsigned: wraps where s32 would overflow
            for (int64_t k = 0; k < visible; k++) acc += (uint32_t)((a[k] - g->a_zero) * (codes[k] - g->w_zero));
            store(&g->epilogue, m, n, (int32_t)acc);
        }
    }
}

void p4q_quantize_scalar(const float *x, int64_t stride, int64_t rows, int64_t n, const p4q_epilogue *codes, uint8_t *out,
                         int64_t out_stride) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) out[r * out_stride + i] = requantized(codes, x[r * stride + i]);
}

int64_t p4q_gemm_peak_scalar(int64_t rounds) {
    uint32_t acc[8] = {0}, x = 3, y = 5;
    for (int64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < 8; i++) {
            acc[i] += x * y;
            __asm__ volatile("" : "+r"(acc[i]), "+r"(x));  // not to be computed once and for all
        }
    }
    return rounds * 8 * 2;
}
