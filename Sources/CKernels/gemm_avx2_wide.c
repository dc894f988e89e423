// u8 x s8 for AVX2, exact for every code: both operands widened to 16 bits and vpmaddwd, since vpmaddubsw would saturate.
//
// A quad's four inputs are taken apart into its even (0, 2) and odd (1, 3) ones, which costs shifts alone: 64 codes become
// [even: 16 channels x 2][odd: 16 channels x 2] 16-bit numbers, four registers. 16 activations become [even: 8][odd: 8] in the same manner.
#include "gemm_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#define TILE_ROWS 6
#define TILE_PANELS 1
#define A_OFFSET 0
#define IN_PLACE 0
// Integer additions may be reassociated and loads moved ahead, and the compiler does both until accumulators spill: not past this.
#define KEEP_IN_REGISTERS(x, y) __asm__ volatile("" : "+x"(x), "+x"(y) : : "memory")
typedef int16_t a_code;
typedef int16_t b_code;

#include "gemm_unpack.inc"

static inline void copy_codes16(const uint8_t *codes, int16_t *to) {
    __m128i x = _mm_loadu_si128((const __m128i *)codes);
    _mm_storeu_si128((__m128i *)to, _mm_and_si128(x, _mm_set1_epi16(255)));
    _mm_storeu_si128((__m128i *)(to + 8), _mm_srli_epi16(x, 8));
}

static inline void widen_quad(const void *codes, int16_t *to) {
#pragma clang loop unroll(full)
    for (int half = 0; half < 2; half++) {
        __m256i x = _mm256_loadu_si256((const __m256i *)codes + half);
        _mm256_storeu_si256((__m256i *)to + half, _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8));
        _mm256_storeu_si256((__m256i *)to + 2 + half, _mm256_srai_epi16(x, 8));
    }
}

static void unpack_block(int32_t bits, const uint8_t *part, int64_t quads, int16_t *to) {
    int64_t step = p4q_packed_group_inputs(bits) / P4Q_QUAD;
    for (int64_t q = 0; q < quads; q += step) {
        const uint8_t *group = part + panel_bytes(q * P4Q_QUAD, bits);
        int8_t codes[8 * P4Q_QUAD_BYTES];
        if (bits != 8) unpack_quads(bits, group, step, codes);
        const int8_t *from = bits == 8 ? (const int8_t *)group : codes;
        for (int64_t j = 0; j < step; j++) widen_quad(from + j * P4Q_QUAD_BYTES, to + (q + j) * P4Q_QUAD_BYTES);
    }
}

// One quad: `a` is its even pair of the first row.
static inline __attribute__((always_inline)) void add_quad(const int R, const int16_t *a, const int16_t *b, __m256i c[TILE_ROWS][2]) {
#pragma clang loop unroll(full)
    for (int odd = 0; odd < 2; odd++) {
        __m256i b0 = _mm256_loadu_si256((const __m256i *)b + 2 * odd);
        __m256i b1 = _mm256_loadu_si256((const __m256i *)b + 2 * odd + 1);
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
            int32_t pair;
            memcpy(&pair, a + r * 16 + odd * 8, sizeof pair);
            __m256i x = _mm256_set1_epi32(pair);
            c[r][0] = _mm256_add_epi32(c[r][0], _mm256_madd_epi16(x, b0));
            c[r][1] = _mm256_add_epi32(c[r][1], _mm256_madd_epi16(x, b1));
            KEEP_IN_REGISTERS(c[r][0], c[r][1]);
        }
    }
}

static inline __attribute__((always_inline)) void tile(const int R, const int P, const int16_t *a, const int16_t *b, int64_t b_stride,
                                                       int64_t quads, int32_t *acc, int64_t acc_stride, bool first, int64_t steps,
                                                       const char *ahead, int64_t ahead_stride) {
    (void)P, (void)b_stride, (void)acc_stride, (void)steps, (void)ahead_stride;
    __m256i c[TILE_ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        const __m256i *from = (const __m256i *)(acc + r * P4Q_PANEL);
        c[r][0] = first ? _mm256_setzero_si256() : _mm256_loadu_si256(from);
        c[r][1] = first ? _mm256_setzero_si256() : _mm256_loadu_si256(from + 1);
    }
    int64_t q = 0;
    for (; q + 4 <= quads; q += 4, a += R * 16, b += 4 * P4Q_QUAD_BYTES, ahead += 64) {
        __builtin_prefetch(ahead, 0, 2);
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) add_quad(R, a + j * 2, b + j * P4Q_QUAD_BYTES, c);
    }
    for (; q < quads; q++, a += 2, b += P4Q_QUAD_BYTES) add_quad(R, a, b, c);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        __m256i *to = (__m256i *)(acc + r * P4Q_PANEL);
        _mm256_storeu_si256(to, c[r][0]);
        _mm256_storeu_si256(to + 1, c[r][1]);
    }
}

#include "gemm_body.inc"

void p4q_gemm_avx2_wide(const p4q_gemm *gemm, void *scratch) { run_product(gemm, scratch); }

void p4q_quantize_avx2(const float *x, int64_t stride, int64_t rows, int64_t n, const p4q_epilogue *codes, uint8_t *out,
                         int64_t out_stride) {
    quantize_rows(x, stride, rows, n, codes, out, out_stride);
}

int64_t p4q_gemm_peak_avx2(int64_t rounds) {
    __m256i c[12], x = _mm256_set1_epi16(1), y = _mm256_set1_epi16(2);
    for (int i = 0; i < 12; i++) c[i] = _mm256_setzero_si256();
    for (int64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 12; i++) {
            __m256i products;
            __asm__ volatile("vpmaddwd %2, %1, %0" : "=x"(products) : "x"(x), "x"(y));  // so that none is optimised away
            c[i] = _mm256_add_epi32(c[i], products);
        }
    }
    for (int i = 0; i < 12; i++) __asm__ volatile("" : : "x"(c[i]));
    return rounds * 12 * 16 * 2;
}

#pragma clang attribute pop
#endif
