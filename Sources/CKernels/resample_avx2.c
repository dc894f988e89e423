#include "p4q_resample.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

enum { ROWS = 4, CHANNELS = P4Q_RESAMPLE_CHANNELS, LOAD = 16 };

static __m256i broadcast(const int16_t *pair) {
    int32_t bits;
    memcpy(&bits, pair, sizeof bits);
    return _mm256_set1_epi32(bits);
}

// (2^21 + high * 4096 + low) >> 22, in each 32-bit lane.
static __m256i rounded(__m256i high, __m256i low) {
    __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, P4Q_RESAMPLE_LOW_BITS), low);
    sum = _mm256_add_epi32(sum, _mm256_set1_epi32(1 << (P4Q_RESAMPLE_FRACTION_BITS - 1)));
    return _mm256_srai_epi32(sum, P4Q_RESAMPLE_FRACTION_BITS);
}

// Sixteen bytes from `offset`, zeros where the input ends before.
static __m128i load(const uint8_t *input, size_t offset, size_t input_bytes) {
    if (offset + LOAD <= input_bytes) return _mm_loadu_si128((const __m128i *)(input + offset));
    uint8_t part[LOAD] = {0};
    if (offset < input_bytes) memcpy(part, input + offset, input_bytes - offset);
    return _mm_loadu_si128((const __m128i *)part);
}

// One output column of `rows` (1 to 4) input rows. A 128-bit lane holds a row's three channels, as pairs of neighbouring pixels.
static void column(
    const p4q_resample_axis *axis, size_t x, const uint8_t *input, size_t stride, size_t input_bytes, size_t rows, uint32_t pixels[ROWS]) {
    const __m256i pixels_01 = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i pixels_23 = _mm256_broadcastsi128_si256(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    const p4q_resample_pair *pair = axis->taps + x * axis->pairs;
    size_t at = (size_t)axis->first[x] * CHANNELS;
    size_t used = ((size_t)axis->count[x] + 1) / 2;
    size_t row[ROWS];
    for (size_t r = 0; r < ROWS; r++) row[r] = at + (r < rows ? r : rows - 1) * stride;
    __m256i high_a = _mm256_setzero_si256(), low_a = high_a, high_b = high_a, low_b = high_a;
    for (size_t p = 0; p < used; p += 2, pair += 2) {
        size_t step = p * 2 * CHANNELS;
        __m256i a = _mm256_set_m128i(load(input, row[1] + step, input_bytes), load(input, row[0] + step, input_bytes));
        __m256i b = _mm256_set_m128i(load(input, row[3] + step, input_bytes), load(input, row[2] + step, input_bytes));
        __m256i high = broadcast(pair[0].high), low = broadcast(pair[0].low);
        __m256i a01 = _mm256_shuffle_epi8(a, pixels_01), b01 = _mm256_shuffle_epi8(b, pixels_01);
        high_a = _mm256_add_epi32(high_a, _mm256_madd_epi16(a01, high));
        low_a = _mm256_add_epi32(low_a, _mm256_madd_epi16(a01, low));
        high_b = _mm256_add_epi32(high_b, _mm256_madd_epi16(b01, high));
        low_b = _mm256_add_epi32(low_b, _mm256_madd_epi16(b01, low));
        if (p + 1 == used) break;
        high = broadcast(pair[1].high), low = broadcast(pair[1].low);
        __m256i a23 = _mm256_shuffle_epi8(a, pixels_23), b23 = _mm256_shuffle_epi8(b, pixels_23);
        high_a = _mm256_add_epi32(high_a, _mm256_madd_epi16(a23, high));
        low_a = _mm256_add_epi32(low_a, _mm256_madd_epi16(a23, low));
        high_b = _mm256_add_epi32(high_b, _mm256_madd_epi16(b23, high));
        low_b = _mm256_add_epi32(low_b, _mm256_madd_epi16(b23, low));
    }
    __m256i words = _mm256_packs_epi32(rounded(high_a, low_a), rounded(high_b, low_b));
    __m256i bytes = _mm256_packus_epi16(words, words);  // lane 0: rows 0 and 2, lane 1: rows 1 and 3
    pixels[0] = (uint32_t)_mm256_extract_epi32(bytes, 0);
    pixels[1] = (uint32_t)_mm256_extract_epi32(bytes, 4);
    pixels[2] = (uint32_t)_mm256_extract_epi32(bytes, 1);
    pixels[3] = (uint32_t)_mm256_extract_epi32(bytes, 5);
}

void p4q_resample_columns_avx2(
    const p4q_resample_axis *axis, const uint8_t *input, size_t input_stride, size_t input_bytes, uint8_t *output, size_t output_stride,
    size_t rows) {
    for (size_t y = 0; y < rows; y += ROWS) {
        size_t n = rows - y < ROWS ? rows - y : ROWS;
        size_t skipped = y * input_stride;
        for (size_t x = 0; x < axis->outputs; x++) {
            uint32_t pixels[ROWS];
            column(axis, x, input + skipped, input_stride, input_bytes - skipped, n, pixels);
            for (size_t r = 0; r < n; r++) memcpy(output + (y + r) * output_stride + x * CHANNELS, &pixels[r], CHANNELS);
        }
    }
}

// Sixteen samples of one output row.
static __m128i row_block(const p4q_resample_pair *pair, int32_t count, const uint8_t *in, size_t stride) {
    __m256i high_0 = _mm256_setzero_si256(), high_1 = high_0, low_0 = high_0, low_1 = high_0;
    for (int32_t t = 0; t < count; t += 2, pair++, in += 2 * stride) {
        __m256i a = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)in));
        __m256i b = t + 1 < count ? _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(in + stride))) : _mm256_setzero_si256();
        __m256i ab_0 = _mm256_unpacklo_epi16(a, b), ab_1 = _mm256_unpackhi_epi16(a, b);
        __m256i high = broadcast(pair->high), low = broadcast(pair->low);
        high_0 = _mm256_add_epi32(high_0, _mm256_madd_epi16(ab_0, high));
        high_1 = _mm256_add_epi32(high_1, _mm256_madd_epi16(ab_1, high));
        low_0 = _mm256_add_epi32(low_0, _mm256_madd_epi16(ab_0, low));
        low_1 = _mm256_add_epi32(low_1, _mm256_madd_epi16(ab_1, low));
    }
    __m256i words = _mm256_packs_epi32(rounded(high_0, low_0), rounded(high_1, low_1));
    __m256i bytes = _mm256_packus_epi16(words, words);
    return _mm_unpacklo_epi64(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}

void p4q_resample_rows_avx2(
    const p4q_resample_axis *axis, const uint8_t *input, size_t input_stride, size_t row_bytes, uint8_t *output, size_t output_stride) {
    size_t blocks = row_bytes - row_bytes % LOAD;
    for (size_t y = 0; y < axis->outputs; y++) {
        const uint8_t *in = input + (size_t)axis->first[y] * input_stride;
        uint8_t *out = output + y * output_stride;
        for (size_t i = 0; i < blocks; i += LOAD)
            _mm_storeu_si128((__m128i *)(out + i), row_block(axis->taps + y * axis->pairs, axis->count[y], in + i, input_stride));
    }
    if (blocks < row_bytes)
        p4q_resample_rows_scalar(axis, input + blocks, input_stride, row_bytes - blocks, output + blocks, output_stride);
}

#pragma clang attribute pop
#endif
