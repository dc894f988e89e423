// Resampling for Advanced SIMD: lane by lane the 32-bit products and sums of the scalar definition.
#include "p4q_resample.h"

#if defined(__aarch64__)
#include <string.h>

enum { ROWS = 4, CHANNELS = P4Q_RESAMPLE_CHANNELS, SAMPLES = 16 };

typedef uint8_t u8x4 __attribute__((ext_vector_type(4)));
typedef uint8_t u8x16 __attribute__((ext_vector_type(16)));
typedef int32_t s32x4 __attribute__((ext_vector_type(4)));
typedef int32_t s32x16 __attribute__((ext_vector_type(16)));
typedef uint32_t u32x4 __attribute__((ext_vector_type(4)));
typedef uint32_t u32x16 __attribute__((ext_vector_type(16)));

// The samples that sums stand for.
#define SAMPLES_OF(BYTES, SIGNED, sum)                                                                                          \
    __builtin_convertvector(                                                                                                    \
        __builtin_elementwise_min(                                                                                              \
            __builtin_elementwise_max(                                                                                          \
                __builtin_convertvector((sum) + (1u << (P4Q_RESAMPLE_FRACTION_BITS - 1)), SIGNED) >> P4Q_RESAMPLE_FRACTION_BITS, (SIGNED)0), \
            (SIGNED)255),                                                                                                       \
        BYTES)

// A pixel, and where it can be read the byte behind it.
static u32x4 load_pixel(const uint8_t *input, size_t offset, size_t input_bytes) {
    u8x4 pixel = 0;
    if (offset + sizeof pixel <= input_bytes)
        memcpy(&pixel, input + offset, sizeof pixel);
    else
        memcpy(&pixel, input + offset, CHANNELS);
    return __builtin_convertvector(pixel, u32x4);
}

void p4q_resample_columns_neon(
    const p4q_resample_axis *axis, const uint8_t *input, size_t input_stride, size_t input_bytes, uint8_t *output, size_t output_stride,
    size_t rows) {
    for (size_t y = 0; y < rows; y += ROWS) {
        size_t n = rows - y < ROWS ? rows - y : ROWS;
        for (size_t x = 0; x < axis->outputs; x++) {
            const p4q_resample_pair *pairs = axis->taps + x * axis->pairs;
            size_t at = y * input_stride + (size_t)axis->first[x] * CHANNELS;
            u32x4 sums[ROWS] = {0};
            for (int32_t t = 0; t < axis->count[x]; t++, at += CHANNELS) {
                uint32_t tap = p4q_resample_tap(pairs, t);
                for (size_t r = 0; r < ROWS; r++) sums[r] += load_pixel(input, at + (r < n ? r : 0) * input_stride, input_bytes) * tap;
            }
            for (size_t r = 0; r < n; r++) {
                u8x4 pixel = SAMPLES_OF(u8x4, s32x4, sums[r]);
                memcpy(output + (y + r) * output_stride + x * CHANNELS, &pixel, CHANNELS);
            }
        }
    }
}

void p4q_resample_rows_neon(
    const p4q_resample_axis *axis, const uint8_t *input, size_t input_stride, size_t row_bytes, uint8_t *output, size_t output_stride) {
    size_t blocks = row_bytes - row_bytes % SAMPLES;
    for (size_t y = 0; y < axis->outputs; y++) {
        const p4q_resample_pair *pairs = axis->taps + y * axis->pairs;
        const uint8_t *in = input + (size_t)axis->first[y] * input_stride;
        for (size_t i = 0; i < blocks; i += SAMPLES) {
            u32x16 sum = 0;
            for (int32_t t = 0; t < axis->count[y]; t++) {
                u8x16 samples;
                memcpy(&samples, in + (size_t)t * input_stride + i, sizeof samples);
                sum += __builtin_convertvector(samples, u32x16) * p4q_resample_tap(pairs, t);
            }
            u8x16 samples = SAMPLES_OF(u8x16, s32x16, sum);
            memcpy(output + y * output_stride + i, &samples, sizeof samples);
        }
    }
    if (blocks < row_bytes) p4q_resample_rows_scalar(axis, input + blocks, input_stride, row_bytes - blocks, output + blocks, output_stride);
}
#endif
