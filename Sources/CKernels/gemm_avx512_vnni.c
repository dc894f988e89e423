// u8 x s8 for AVX-512 VNNI: vpdpbusd on 512 bits, exact in 32-bit lanes; tiles of 14 rows and two panels fill 28 of the 32 registers with
// accumulators; 8-bit weights are read where they lie.
#include "gemm_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)

#define TILE_ROWS 14
#define TILE_PANELS 2
#define A_OFFSET 0
#define IN_PLACE 1
#define ADDS_TERMS
#define P4Q_AVX512
typedef uint8_t a_code;
typedef int8_t b_code;

#include "gemm_unpack.inc"

static inline void copy_codes16(const uint8_t *codes, uint8_t *to) { memcpy(to, codes, 16); }

static void unpack_block(int32_t bits, const uint8_t *part, int64_t quads, int8_t *to) { unpack_quads(bits, part, quads, to); }

static inline __attribute__((always_inline)) void add_quad(const int R, const int P, const uint8_t *a, const int8_t *b, int64_t b_stride,
                                                           __m512i c[TILE_ROWS][2]) {
    __m512i b0 = _mm512_loadu_si512(b), b1 = P == 2 ? _mm512_loadu_si512(b + b_stride) : b0;
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        int32_t quad;
        memcpy(&quad, a + r * 16, sizeof quad);
        __m512i x = _mm512_set1_epi32(quad);
        c[r][0] = _mm512_dpbusd_epi32(c[r][0], x, b0);
        if (P == 2) c[r][1] = _mm512_dpbusd_epi32(c[r][1], x, b1);
    }
}

static inline __attribute__((always_inline)) void tile(const int R, const int P, const uint8_t *a, const int8_t *b, int64_t b_stride,
                                                       int64_t quads, beginning from, int32_t *acc, int64_t acc_stride, tile_work work) {
    fetching ahead = work.ahead;
    __m512i c[TILE_ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < P; i++) c[r][i] = _mm512_loadu_si512(from.sums + i * from.panel + r * from.row);
    }
    if (work.terms) {
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
            for (int i = 0; i < P; i++) c[r][i] = _mm512_add_epi32(c[r][i], _mm512_set1_epi32(work.terms[r]));
        }
    }
    int64_t q = 0;
    for (; q + 4 <= quads; q += 4, a += R * 16, b += 4 * P4Q_QUAD_BYTES, ahead.lines += 64) {
        __builtin_prefetch(ahead.lines, 0, 2);
        if (P == 2) __builtin_prefetch(ahead.lines + ahead.stride, 0, 2);
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) add_quad(R, P, a + j * 4, b + j * P4Q_QUAD_BYTES, b_stride, c);
    }
    for (; q < quads; q++, a += 4, b += P4Q_QUAD_BYTES) add_quad(R, P, a, b, b_stride, c);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < P; i++) _mm512_storeu_si512(acc + i * acc_stride + r * P4Q_PANEL, c[r][i]);
    }
}

#include "gemm_body.inc"
#include "gemm_operands.inc"

void p4q_gemm_avx512_vnni(const p4q_gemm *gemm, void *scratch) { run_product(gemm, scratch); }

void p4q_quantize_avx512(const float *x, int64_t stride, int64_t rows, int64_t n, const p4q_epilogue *codes, uint8_t *out,
                         int64_t out_stride) {
    quantize_rows(x, stride, rows, n, codes, out, out_stride);
}

void p4q_pack_keys_avx512(const p4q_rows *segments, int64_t count, int64_t k, uint8_t *packed, int32_t *sums) {
    pack_keys(segments, count, k, packed, sums);
}

void p4q_pack_values_avx512(const p4q_rows *segments, int64_t count, int64_t n, uint8_t *packed, int32_t *sums) {
    pack_values(segments, count, n, packed, sums);
}

int64_t p4q_gemm_peak_avx512_vnni(int64_t rounds) {
    __m512i c[24], x = _mm512_set1_epi8(1), y = _mm512_set1_epi8(2);
    for (int i = 0; i < 24; i++) c[i] = _mm512_setzero_si512();
    for (int64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 24; i++) c[i] = _mm512_dpbusd_epi32(c[i], x, y);
        __asm__ volatile("" : "+v"(x), "+v"(y));  // not to be computed once and for all
    }
    for (int i = 0; i < 24; i++) __asm__ volatile("" : : "v"(c[i]));
    return rounds * 24 * 64 * 2;
}

#pragma clang attribute pop
#endif
