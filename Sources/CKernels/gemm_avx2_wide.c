// u8 x s8 for AVX2, exact for every code, with half the multiplications (Winograd, "A new algorithm for inner product", 1968): for the inputs
// 0 and 1 of a pair
//
//     x0 w0 + x1 w1 = (x0 + w1) (x1 + w0) - x0 x1 - w0 w1
//
// and x0 x1 belongs to a row, w0 w1 to a channel, so that both are summed once for many products. vpmaddwd does 16 of these multiplications,
// which is 32 of the plain ones. All sums wrap modulo 2^32, and the result fits s32, so nothing is lost.
//
// A quad's four inputs are taken apart into its even (0, 2) and odd (1, 3) ones, which costs shifts alone: 64 codes become
// [even: 16 channels x 2][odd: 16 channels x 2] 16-bit numbers, four registers. 16 activations become [even: 8][odd: 8] in the same manner.
#include "gemm_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#define TILE_ROWS 4
#define TILE_PANELS 1
#define A_OFFSET 0
#define IN_PLACE 0
#define ROW_PAIR_PRODUCTS row_pair_products
#define ADDS_TERMS
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

// The sum of x0 x1 over the pairs of a copied row: `parts` times 16 activations, `stride` elements apart.
static uint32_t row_pair_products(const int16_t *a, int64_t parts, int64_t stride) {
    __m128i sum = _mm_setzero_si128();
    for (int64_t i = 0; i < parts; i++, a += stride)
        sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_loadu_si128((const __m128i *)a), _mm_loadu_si128((const __m128i *)a + 1)));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

static inline void widen_quad(const void *codes, int16_t *to, __m256i products[2]) {
#pragma clang loop unroll(full)
    for (int half = 0; half < 2; half++) {
        __m256i x = _mm256_loadu_si256((const __m256i *)codes + half);
        __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8), odd = _mm256_srai_epi16(x, 8);
        _mm256_storeu_si256((__m256i *)to + half, even);
        _mm256_storeu_si256((__m256i *)to + 2 + half, odd);
        products[half] = _mm256_add_epi32(products[half], _mm256_madd_epi16(even, odd));
    }
}

// Before the codes, at to - PRODUCTS, each channel's sum of the products of neighbours.
#define PRODUCTS (P4Q_PANEL * (int64_t)(sizeof(int32_t) / sizeof(int16_t)))

static void unpack_block(int32_t bits, const uint8_t *part, int64_t quads, int16_t *to) {
    int64_t step = p4q_packed_group_inputs(bits) / P4Q_QUAD;
    __m256i products[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int64_t q = 0; q < quads; q += step) {
        const uint8_t *group = part + panel_bytes(q * P4Q_QUAD, bits);
        int8_t codes[8 * P4Q_QUAD_BYTES];
        if (bits != 8) unpack_quads(bits, group, step, codes);
        const int8_t *from = bits == 8 ? (const int8_t *)group : codes;
        for (int64_t j = 0; j < step; j++) widen_quad(from + j * P4Q_QUAD_BYTES, to + (q + j) * P4Q_QUAD_BYTES, products);
    }
    for (int half = 0; half < 2; half++) _mm256_storeu_si256((__m256i *)(to - PRODUCTS) + half, products[half]);
}

// One quad: `a` is its even pair of the first row.
static inline __attribute__((always_inline)) void add_quad(const int R, const int16_t *a, const int16_t *b, __m256i c[TILE_ROWS][2]) {
    const __m256i *w = (const __m256i *)b;
    __m256i even0 = _mm256_loadu_si256(w), even1 = _mm256_loadu_si256(w + 1);
    __m256i odd0 = _mm256_loadu_si256(w + 2), odd1 = _mm256_loadu_si256(w + 3);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        int32_t even, odd;
        memcpy(&even, a + r * 16, sizeof even);
        memcpy(&odd, a + r * 16 + 8, sizeof odd);
        __m256i x = _mm256_set1_epi32(even), y = _mm256_set1_epi32(odd);
        c[r][0] = _mm256_add_epi32(c[r][0], _mm256_madd_epi16(_mm256_add_epi16(x, odd0), _mm256_add_epi16(y, even0)));
        c[r][1] = _mm256_add_epi32(c[r][1], _mm256_madd_epi16(_mm256_add_epi16(x, odd1), _mm256_add_epi16(y, even1)));
        KEEP_IN_REGISTERS(c[r][0], c[r][1]);
    }
}

static inline __attribute__((always_inline)) void tile(const int R, const int P, const int16_t *a, const int16_t *b, int64_t b_stride,
                                                       int64_t quads, beginning from, int32_t *acc, int64_t acc_stride, tile_work work) {
    fetching ahead = work.ahead;
    (void)P, (void)b_stride, (void)acc_stride;
    __m256i c[TILE_ROWS][2];
    const __m256i *products = (const __m256i *)(b - PRODUCTS);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        const __m256i *sums = (const __m256i *)(from.sums + r * from.row);
        __m256i term = _mm256_set1_epi32(work.terms ? work.terms[r] : 0);
#pragma clang loop unroll(full)
        for (int i = 0; i < 2; i++)
            c[r][i] = _mm256_add_epi32(_mm256_sub_epi32(_mm256_loadu_si256(sums + i), _mm256_loadu_si256(products + i)), term);
    }
    int64_t q = 0;
    for (; q + 4 <= quads; q += 4, a += R * 16, b += 4 * P4Q_QUAD_BYTES, ahead.lines += 64) {
        __builtin_prefetch(ahead.lines, 0, 2);
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
#include "gemm_operands.inc"

void p4q_gemm_avx2_wide(const p4q_gemm *gemm, void *scratch) { run_product(gemm, scratch); }

void p4q_quantize_avx2(const float *x, int64_t stride, int64_t rows, int64_t n, const p4q_epilogue *codes, uint8_t *out,
                         int64_t out_stride) {
    quantize_rows(x, stride, rows, n, codes, out, out_stride);
}

void p4q_pack_keys_avx2(const p4q_rows *segments, int64_t count, int64_t k, uint8_t *packed, int32_t *sums) {
    pack_keys(segments, count, k, packed, sums);
}

void p4q_pack_values_avx2(const p4q_rows *segments, int64_t count, int64_t n, uint8_t *packed, int32_t *sums) {
    pack_values(segments, count, n, packed, sums);
}

int64_t p4q_gemm_peak_avx2(int64_t rounds) {
    __m256i c[8], x = _mm256_set1_epi16(1), y = _mm256_set1_epi16(2);
    for (int i = 0; i < 8; i++) c[i] = _mm256_setzero_si256();
    for (int64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 8; i++) {
            __m256i even, odd;
            __asm__ volatile("vpaddw %2, %3, %0\n\tvpaddw %3, %2, %1\n\tvpmaddwd %0, %1, %0"  // so that none is optimised away
                             : "=&x"(even), "=&x"(odd) : "x"(x), "x"(y));
            c[i] = _mm256_add_epi32(c[i], even);
        }
    }
    for (int i = 0; i < 8; i++) __asm__ volatile("" : : "x"(c[i]));
    return rounds * 8 * 32 * 2;
}

#pragma clang attribute pop
#endif
