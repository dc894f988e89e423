// u8 x s8 for AArch64 with the 8-bit matrix multiply extension: usmmla multiplies two rows of eight codes by two channels of eight.
//
// Two quads of weights become eight registers of [2 channels][8 inputs]; an accumulator is [2 rows][2 channels].
#include "gemm_internal.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)

#define TILE_ROWS 4
#define TILE_PANELS 1
#define A_OFFSET 0
#define IN_PLACE 0
typedef uint8_t a_code;
typedef int8_t b_code;

#include "gemm_unpack.inc"

static inline void copy_codes16(const uint8_t *codes, uint8_t *to) { memcpy(to, codes, 16); }

static inline void pair_quads(const int8_t *even, const int8_t *odd, int8_t *to) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        int32x4_t x = vreinterpretq_s32_s8(vld1q_s8(even + 16 * i)), y = vreinterpretq_s32_s8(vld1q_s8(odd + 16 * i));
        vst1q_s8(to + 32 * i, vreinterpretq_s8_s32(vzip1q_s32(x, y)));
        vst1q_s8(to + 32 * i + 16, vreinterpretq_s8_s32(vzip2q_s32(x, y)));
    }
}

// An odd last quad, possible at 8 bits only, is paired with zeros.
static void unpack_block(int32_t bits, const uint8_t *part, int64_t quads, int8_t *to) {
    int64_t step = larger(2, p4q_packed_group_inputs(bits) / P4Q_QUAD);
    for (int64_t q = 0; q < quads; q += step) {
        int8_t codes[8 * P4Q_QUAD_BYTES];
        int64_t count = smaller(step, quads - q);
        unpack_quads(bits, part + panel_bytes(q * P4Q_QUAD, bits), count, codes);
        if (count % 2 != 0) memset(codes + count * P4Q_QUAD_BYTES, 0, P4Q_QUAD_BYTES);
        for (int64_t j = 0; j < count; j += 2) {
            const int8_t *even = codes + j * P4Q_QUAD_BYTES;
            pair_quads(even, even + P4Q_QUAD_BYTES, to + (q + j) * P4Q_QUAD_BYTES);
        }
    }
}

// Eight inputs, the lower or the upper ones of sixteen. An odd last row is multiplied twice.
static inline __attribute__((always_inline)) void add_eight(const int R, const uint8_t *a, const int8_t *b, const int upper,
                                                            int32x4_t c[TILE_ROWS / 2][8]) {
    uint8x16_t x[TILE_ROWS / 2];
#pragma clang loop unroll(full)
    for (int p = 0; p < (R + 1) / 2; p++) {
        const uint8_t *row = a + 2 * p * 16 + 8 * upper;
        x[p] = vcombine_u8(vld1_u8(row), vld1_u8(2 * p + 1 < R ? row + 16 : row));
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) {
        int8x16_t w = vld1q_s8(b + 16 * i);
#pragma clang loop unroll(full)
        for (int p = 0; p < (R + 1) / 2; p++) c[p][i] = vusmmlaq_s32(c[p][i], x[p], w);
    }
}

static inline __attribute__((always_inline)) void load_pair(const int32_t *upper, const int32_t *lower, int32x4_t c[8]) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        int64x2_t x = vreinterpretq_s64_s32(vld1q_s32(upper + 4 * i)), y = vreinterpretq_s64_s32(vld1q_s32(lower + 4 * i));
        c[2 * i] = vreinterpretq_s32_s64(vzip1q_s64(x, y));
        c[2 * i + 1] = vreinterpretq_s32_s64(vzip2q_s64(x, y));
    }
}

static inline __attribute__((always_inline)) void store_pair(const int32x4_t c[8], int32_t *upper, int32_t *lower) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        int64x2_t x = vreinterpretq_s64_s32(c[2 * i]), y = vreinterpretq_s64_s32(c[2 * i + 1]);
        vst1q_s32(upper + 4 * i, vreinterpretq_s32_s64(vzip1q_s64(x, y)));
        if (lower) vst1q_s32(lower + 4 * i, vreinterpretq_s32_s64(vzip2q_s64(x, y)));
    }
}

static inline __attribute__((always_inline)) void tile(const int R, const int P, const uint8_t *a, const int8_t *b, int64_t b_stride,
                                                       int64_t quads, beginning from, int32_t *acc, int64_t acc_stride, tile_work work) {
    fetching ahead = work.ahead;
    (void)P, (void)b_stride, (void)acc_stride;
    int32x4_t c[TILE_ROWS / 2][8];
#pragma clang loop unroll(full)
    for (int p = 0; p < (R + 1) / 2; p++) {
        const int32_t *row = from.sums + 2 * p * from.row;
        load_pair(row, 2 * p + 1 < R ? row + from.row : row, c[p]);
    }
    int64_t q = 0;
    for (; q + 4 <= quads; q += 4, a += R * 16, b += 4 * P4Q_QUAD_BYTES, ahead.lines += 64) {
        __builtin_prefetch(ahead.lines, 0, 2);
        add_eight(R, a, b, 0, c);
        add_eight(R, a, b + 2 * P4Q_QUAD_BYTES, 1, c);
    }
    if (q < quads) add_eight(R, a, b, 0, c);
    if (q + 2 < quads) add_eight(R, a, b + 2 * P4Q_QUAD_BYTES, 1, c);
#pragma clang loop unroll(full)
    for (int p = 0; p < (R + 1) / 2; p++) {
        int32_t *row = acc + 2 * p * P4Q_PANEL;
        store_pair(c[p], row, 2 * p + 1 < R ? row + P4Q_PANEL : NULL);
    }
}

#include "gemm_body.inc"

void p4q_gemm_neon_i8mm(const p4q_gemm *gemm, void *scratch) { run_product(gemm, scratch); }

int64_t p4q_gemm_peak_neon_i8mm(int64_t rounds) {
    int32x4_t c[16];
    uint8x16_t x = vdupq_n_u8(1);
    int8x16_t y = vdupq_n_s8(2);
    for (int i = 0; i < 16; i++) c[i] = vdupq_n_s32(0);
    for (int64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) c[i] = vusmmlaq_s32(c[i], x, y);
        __asm__ volatile("" : "+w"(x), "+w"(y));  // not to be computed once and for all
    }
    for (int i = 0; i < 16; i++) __asm__ volatile("" : : "w"(c[i]));
    return rounds * 16 * 32 * 2;
}

#pragma clang attribute pop
#endif
