// u8 x s8 for AArch64 with the dot product extension: sdot is s8 x s8, so copied activations have 128 taken off, which the zero point's
// term gives back; 8-bit weights are read where they lie, a quad being four registers.
#include "gemm_internal.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#define TILE_ROWS 4
#define TILE_PANELS 1
#define A_OFFSET 128
#define IN_PLACE 1
typedef int8_t a_code;
typedef int8_t b_code;

#include "gemm_unpack.inc"

static inline void copy_codes16(const uint8_t *codes, int8_t *to) {
    vst1q_s8(to, vreinterpretq_s8_u8(veorq_u8(vld1q_u8(codes), vdupq_n_u8(128))));
}

static void unpack_block(int32_t bits, const uint8_t *part, int64_t quads, int8_t *to) { unpack_quads(bits, part, quads, to); }

// Quad J of the sixteen inputs in x.
#define ADD_QUAD(R, x, b, J, c)                                                                          \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; i++) {                                      \
        int8x16_t w = vld1q_s8((b) + (J) * P4Q_QUAD_BYTES + 16 * i);                                      \
        _Pragma("clang loop unroll(full)") for (int r = 0; r < (R); r++) c[r][i] = vdotq_laneq_s32(c[r][i], w, x[r], J); \
    }

static inline __attribute__((always_inline)) void tile(const int R, const int P, const int8_t *a, const int8_t *b, int64_t b_stride,
                                                       int64_t quads, beginning from, int32_t *acc, int64_t acc_stride, tile_work work) {
    fetching ahead = work.ahead;
    (void)P, (void)b_stride, (void)acc_stride;
    int32x4_t c[TILE_ROWS][4];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
        for (int i = 0; i < 4; i++) c[r][i] = vld1q_s32(from.sums + r * from.row + 4 * i);
    for (int64_t q = 0; q < quads; q += 4, a += R * 16, b += 4 * P4Q_QUAD_BYTES, ahead.lines += 64) {
        __builtin_prefetch(ahead.lines, 0, 2);
        int8x16_t x[TILE_ROWS];
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) x[r] = vld1q_s8(a + r * 16);
        ADD_QUAD(R, x, b, 0, c)
        if (q + 1 < quads) ADD_QUAD(R, x, b, 1, c)
        if (q + 2 < quads) ADD_QUAD(R, x, b, 2, c)
        if (q + 3 < quads) ADD_QUAD(R, x, b, 3, c)
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
        for (int i = 0; i < 4; i++) vst1q_s32(acc + r * P4Q_PANEL + 4 * i, c[r][i]);
}

#include "gemm_body.inc"

void p4q_gemm_neon_dot(const p4q_gemm *gemm, void *scratch) { run_product(gemm, scratch); }

int64_t p4q_gemm_peak_neon_dot(int64_t rounds) {
    int32x4_t c[16];
    int8x16_t x = vdupq_n_s8(1), y = vdupq_n_s8(2);
    for (int i = 0; i < 16; i++) c[i] = vdupq_n_s32(0);
    for (int64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) c[i] = vdotq_s32(c[i], x, y);
        __asm__ volatile("" : "+w"(x), "+w"(y));  // not to be computed once and for all
    }
    for (int i = 0; i < 16; i++) __asm__ volatile("" : : "w"(c[i]));
    return rounds * 16 * 16 * 2;
}

#pragma clang attribute pop
#endif
