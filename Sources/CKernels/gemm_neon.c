// u8 x s8 for plain Advanced SIMD, exact for every code: both operands widened to 16 bits and smlal. For processors without the dot
// product.
// A quad of weights becomes [4 inputs][16 channels] 16-bit numbers.
#include "gemm_internal.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma clang fp contract(off)

#define TILE_ROWS 4
#define TILE_PANELS 1
#define A_OFFSET 0
#define IN_PLACE 0
typedef int16_t a_code;
typedef int16_t b_code;

#include "gemm_unpack.inc"

static inline void copy_codes16(const uint8_t *codes, int16_t *to) {
    uint8x16_t x = vld1q_u8(codes);
    vst1q_s16(to, vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x))));
    vst1q_s16(to + 8, vreinterpretq_s16_u16(vmovl_high_u8(x)));
}

static inline void widen_quad(const int8_t *codes, int16_t *to) {
    int8x16x4_t x = vld4q_s8(codes);
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        vst1q_s16(to + 16 * i, vmovl_s8(vget_low_s8(x.val[i])));
        vst1q_s16(to + 16 * i + 8, vmovl_high_s8(x.val[i]));
    }
}

static void unpack_block(int32_t bits, const uint8_t *part, int64_t quads, int16_t *to) {
    int64_t step = p4q_packed_group_inputs(bits) / P4Q_QUAD;
    for (int64_t q = 0; q < quads; q += step) {
        int8_t codes[8 * P4Q_QUAD_BYTES];
        unpack_quads(bits, part + panel_bytes(q * P4Q_QUAD, bits), step, codes);
        for (int64_t j = 0; j < step; j++) widen_quad(codes + j * P4Q_QUAD_BYTES, to + (q + j) * P4Q_QUAD_BYTES);
    }
}

static inline __attribute__((always_inline)) void tile(const int R, const int P, const int16_t *a, const int16_t *b, int64_t b_stride,
                                                       int64_t quads, beginning from, int32_t *acc, int64_t acc_stride, tile_work work) {
    fetching ahead = work.ahead;
    (void)P, (void)b_stride, (void)acc_stride;
    int32x4_t c[TILE_ROWS][4];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
        for (int i = 0; i < 4; i++) c[r][i] = vld1q_s32(from.sums + r * from.row + 4 * i);
    for (int64_t k = 0; k < quads * P4Q_QUAD; k++, b += P4Q_PANEL) {
        if (k % 16 == 0) __builtin_prefetch(ahead.lines + k * 4, 0, 2);
        int16x8_t b0 = vld1q_s16(b), b1 = vld1q_s16(b + 8);
        const int16_t *x = a + k / 16 * 16 * R + k % 16;
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
            c[r][0] = vmlal_n_s16(c[r][0], vget_low_s16(b0), x[r * 16]);
            c[r][1] = vmlal_high_n_s16(c[r][1], b0, x[r * 16]);
            c[r][2] = vmlal_n_s16(c[r][2], vget_low_s16(b1), x[r * 16]);
            c[r][3] = vmlal_high_n_s16(c[r][3], b1, x[r * 16]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
        for (int i = 0; i < 4; i++) vst1q_s32(acc + r * P4Q_PANEL + 4 * i, c[r][i]);
}

#include "gemm_body.inc"
#include "gemm_operands.inc"

void p4q_gemm_neon(const p4q_gemm *gemm, void *scratch) { run_product(gemm, scratch); }

void p4q_quantize_neon(const float *x, int64_t stride, int64_t rows, int64_t n, const p4q_epilogue *codes, uint8_t *out,
                         int64_t out_stride) {
    quantize_rows(x, stride, rows, n, codes, out, out_stride);
}

void p4q_pack_keys_neon(const p4q_rows *segments, int64_t count, int64_t k, uint8_t *packed, int32_t *sums) {
    pack_keys(segments, count, k, packed, sums);
}

void p4q_pack_values_neon(const p4q_rows *segments, int64_t count, int64_t n, uint8_t *packed, int32_t *sums) {
    pack_values(segments, count, n, packed, sums);
}

int64_t p4q_gemm_peak_neon(int64_t rounds) {
    int32x4_t c[16];
    int16x4_t x = vdup_n_s16(1), y = vdup_n_s16(2);
    for (int i = 0; i < 16; i++) c[i] = vdupq_n_s32(0);
    for (int64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) __asm__ volatile("smlal %0.4s, %1.4h, %2.4h" : "+w"(c[i]) : "w"(x), "w"(y));
    }
    for (int i = 0; i < 16; i++) __asm__ volatile("" : : "w"(c[i]));
    return rounds * 16 * 4 * 2;
}
#endif
