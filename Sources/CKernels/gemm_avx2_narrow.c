// u8 x s8 for AVX2 where weights or activations are narrow enough for vpmaddubsw: pairs of products are summed in 16-bit lanes over as many
// quads as cannot saturate (`narrow_steps`), then in 32-bit ones. At 4-bit weights and 8-bit activations that is 8 quads.
#include "gemm_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#define TILE_ROWS 6
#define TILE_PANELS 1
#define A_OFFSET 0
#define IN_PLACE 1
// Integer additions may be reassociated and loads moved ahead, and the compiler does both until accumulators spill: not past this.
#define KEEP_IN_REGISTERS(x, y) __asm__ volatile("" : "+x"(x), "+x"(y) : : "memory")
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
        c[r][0] = _mm256_add_epi16(c[r][0], _mm256_maddubs_epi16(x, b0));
        c[r][1] = _mm256_add_epi16(c[r][1], _mm256_maddubs_epi16(x, b1));
        KEEP_IN_REGISTERS(c[r][0], c[r][1]);
    }
}

// At most `narrow_steps` quads, from an input that is a multiple of 16.
static inline __attribute__((always_inline)) void add_run(const int R, const uint8_t *a, const int8_t *b, int64_t quads, int32_t *acc,
                                                          const char *ahead) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i c[TILE_ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) c[r][0] = c[r][1] = _mm256_setzero_si256();
    int64_t q = 0;
    for (; q + 4 <= quads; q += 4, a += R * 16, b += 4 * P4Q_QUAD_BYTES, ahead += 64) {
        __builtin_prefetch(ahead, 0, 2);
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) add_quad(R, a + j * 4, b + j * P4Q_QUAD_BYTES, c);
    }
    for (; q < quads; q++, a += 4, b += P4Q_QUAD_BYTES) add_quad(R, a, b, c);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 2; i++) {
            __m256i *to = (__m256i *)(acc + r * P4Q_PANEL) + i;
            _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), _mm256_madd_epi16(c[r][i], ones)));
        }
    }
}

static inline __attribute__((always_inline)) void tile(const int R, const int P, const uint8_t *a, const int8_t *b, int64_t b_stride,
                                                       int64_t quads, beginning from, int32_t *acc, int64_t acc_stride, tile_work work) {
    fetching ahead = work.ahead;
    (void)P, (void)b_stride, (void)acc_stride;
    if (from.sums != acc)
        for (int r = 0; r < R; r++) memcpy(acc + r * P4Q_PANEL, from.sums + r * from.row, P4Q_PANEL * sizeof *acc);
    for (int64_t q = 0; q < quads; q += work.steps)
        add_run(R, a + q * P4Q_QUAD * R, b + q * P4Q_QUAD_BYTES, smaller(work.steps, quads - q), acc, ahead.lines + q * 16);
}

#include "gemm_body.inc"

void p4q_gemm_avx2_narrow(const p4q_gemm *gemm, void *scratch) { run_product(gemm, scratch); }

int64_t p4q_gemm_peak_avx2_narrow(int64_t steps, int64_t rounds) {
    __m256i c[6], sums[6], x = _mm256_set1_epi8(1), y = _mm256_set1_epi8(2), ones = _mm256_set1_epi16(1);
    for (int i = 0; i < 6; i++) c[i] = sums[i] = _mm256_setzero_si256();
    for (int64_t round = 0; round < rounds; round++) {
        for (int64_t step = 0; step < steps; step++) {
#pragma clang loop unroll(full)
            for (int i = 0; i < 6; i++) {
                __m256i products;
                __asm__ volatile("vpmaddubsw %2, %1, %0" : "=x"(products) : "x"(x), "x"(y));  // so that none is optimised away
                c[i] = _mm256_add_epi16(c[i], products);
            }
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < 6; i++) {
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(c[i], ones));
            c[i] = _mm256_setzero_si256();
            __asm__ volatile("" : "+x"(sums[i]), "+x"(c[i]));
        }
    }
    return rounds * steps * 6 * 32 * 2;
}

#pragma clang attribute pop
#endif
