// u8 x s8 for AVX-VNNI: vpdpbusd on 256 bits, exact in 32-bit lanes; 8-bit weights are read where they lie.
#include "gemm_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)

#define TILE_ROWS 6
#define TILE_PANELS 1
#define A_OFFSET 0
#define IN_PLACE 1
#define ADDS_TERMS
typedef uint8_t a_code;
typedef int8_t b_code;

#include "gemm_unpack.inc"

static inline void copy_codes16(const uint8_t *codes, uint8_t *to) { memcpy(to, codes, 16); }

static void unpack_block(int32_t bits, const uint8_t *part, int64_t quads, int8_t *to) { unpack_quads(bits, part, quads, to); }

static inline __attribute__((always_inline)) void add_quad(const int R, const uint8_t *a, const int8_t *b, __m256i c[TILE_ROWS][2]) {
    __m256i b0 = _mm256_loadu_si256((const __m256i *)b), b1 = _mm256_loadu_si256((const __m256i *)b + 1);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        int32_t quad;
        memcpy(&quad, a + r * 16, sizeof quad);
        __m256i x = _mm256_set1_epi32(quad);
        c[r][0] = _mm256_dpbusd_avx_epi32(c[r][0], x, b0);
        c[r][1] = _mm256_dpbusd_avx_epi32(c[r][1], x, b1);
    }
}

static inline __attribute__((always_inline)) void tile(const int R, const int P, const uint8_t *a, const int8_t *b, int64_t b_stride,
                                                       int64_t quads, beginning from, int32_t *acc, int64_t acc_stride, tile_work work) {
    fetching ahead = work.ahead;
    (void)P, (void)b_stride, (void)acc_stride;
    __m256i c[TILE_ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        const __m256i *sums = (const __m256i *)(from.sums + r * from.row);
        c[r][0] = _mm256_loadu_si256(sums);
        c[r][1] = _mm256_loadu_si256(sums + 1);
    }
    if (work.terms) {
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
            for (int i = 0; i < 2; i++) c[r][i] = _mm256_add_epi32(c[r][i], _mm256_set1_epi32(work.terms[r]));
        }
    }
    int64_t q = 0;
    for (; q + 4 <= quads; q += 4, a += R * 16, b += 4 * P4Q_QUAD_BYTES, ahead.lines += 64) {
        __builtin_prefetch(ahead.lines, 0, 2);
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) add_quad(R, a + j * 4, b + j * P4Q_QUAD_BYTES, c);
    }
    for (; q < quads; q++, a += 4, b += P4Q_QUAD_BYTES) add_quad(R, a, b, c);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        __m256i *to = (__m256i *)(acc + r * P4Q_PANEL);
        _mm256_storeu_si256(to, c[r][0]);
        _mm256_storeu_si256(to + 1, c[r][1]);
    }
}

#include "gemm_body.inc"

void p4q_gemm_avx_vnni(const p4q_gemm *gemm, void *scratch) { run_product(gemm, scratch); }

int64_t p4q_gemm_peak_avx_vnni(int64_t rounds) {
    __m256i c[12], x = _mm256_set1_epi8(1), y = _mm256_set1_epi8(2);
    for (int i = 0; i < 12; i++) c[i] = _mm256_setzero_si256();
    for (int64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 12; i++) c[i] = _mm256_dpbusd_avx_epi32(c[i], x, y);
        __asm__ volatile("" : "+x"(x), "+x"(y));  // not to be computed once and for all
    }
    for (int i = 0; i < 12; i++) __asm__ volatile("" : : "x"(c[i]));
    return rounds * 12 * 32 * 2;
}

#pragma clang attribute pop
#endif
