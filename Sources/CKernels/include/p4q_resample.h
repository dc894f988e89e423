// Resampling of 8-bit RGB along one axis with fixed-point taps: each output sample is
//     clamp((2^21 + sum over taps of input * tap) >> 22, 0, 255)
// in 32-bit arithmetic that wraps. Every instruction set gives the scalar twin's bits.
#ifndef P4Q_RESAMPLE_H
#define P4Q_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "p4q_isa.h"

enum { P4Q_RESAMPLE_FRACTION_BITS = 22, P4Q_RESAMPLE_LOW_BITS = 12, P4Q_RESAMPLE_CHANNELS = 3 };

// A tap of 22 fraction bits is high * 4096 + low with 0 <= low < 4096, so that each part fits a 16-bit multiply:
//     taps  [outputs][pairs] of { high of tap 2p, high of tap 2p + 1, low of tap 2p, low of tap 2p + 1 }
// Taps from count[i] to 2 * pairs are zero and stand for no input.
typedef struct {
    int16_t high[2], low[2];
} p4q_resample_pair;
_Static_assert(sizeof(p4q_resample_pair) == 8, "two 32-bit broadcasts a pair");

// Tap t, for products that wrap.
static inline uint32_t p4q_resample_tap(const p4q_resample_pair *pairs, int32_t t) {
    const p4q_resample_pair *p = &pairs[t / 2];
    return (uint32_t)(p->high[t % 2] * (1 << P4Q_RESAMPLE_LOW_BITS) + p->low[t % 2]);
}

typedef struct {
    const int32_t *first;            // [outputs] index of the input that the first tap is for
    const int32_t *count;            // [outputs] taps, at least 1
    const p4q_resample_pair *taps;   // [outputs][pairs]
    size_t outputs, pairs;
} p4q_resample_axis;

// Along rows: input [rows] of pixels `input_stride` bytes apart, of which `input_bytes` can be read in all;
// output [rows][axis.outputs] RGB pixels, rows `output_stride` bytes apart.
typedef void p4q_resample_columns(
    const p4q_resample_axis *axis, const uint8_t *input, size_t input_stride, size_t input_bytes, uint8_t *output, size_t output_stride,
    size_t rows);

// Down columns: input rows of `row_bytes` samples, `input_stride` bytes apart; output [axis.outputs][row_bytes], rows
// `output_stride` bytes apart.
typedef void p4q_resample_rows(
    const p4q_resample_axis *axis, const uint8_t *input, size_t input_stride, size_t row_bytes, uint8_t *output, size_t output_stride);

typedef struct {
    p4q_resample_columns *columns;
    p4q_resample_rows *rows;
} p4q_resample_kernels;

// The fastest kernels that need no more than `isa`.
p4q_resample_kernels p4q_resample_kernels_for(p4q_isa isa);

p4q_resample_columns p4q_resample_columns_scalar, p4q_resample_columns_avx2, p4q_resample_columns_neon;
p4q_resample_rows p4q_resample_rows_scalar, p4q_resample_rows_avx2, p4q_resample_rows_neon;

#endif
