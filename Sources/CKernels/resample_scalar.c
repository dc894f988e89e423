#include "p4q_resample.h"

static uint8_t sample(uint32_t sum) {
    int32_t v = (int32_t)(sum + (1u << (P4Q_RESAMPLE_FRACTION_BITS - 1))) >> P4Q_RESAMPLE_FRACTION_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

void p4q_resample_columns_scalar(
    const p4q_resample_axis *axis, const uint8_t *input, size_t input_stride, size_t input_bytes, uint8_t *output, size_t output_stride,
    size_t rows) {
    (void)input_bytes;
    for (size_t y = 0; y < rows; y++, input += input_stride, output += output_stride) {
        for (size_t x = 0; x < axis->outputs; x++) {
            const p4q_resample_pair *pairs = axis->taps + x * axis->pairs;
            const uint8_t *in = input + (size_t)axis->first[x] * P4Q_RESAMPLE_CHANNELS;
            uint32_t red = 0, green = 0, blue = 0;
            for (int32_t t = 0; t < axis->count[x]; t++, in += P4Q_RESAMPLE_CHANNELS) {
                uint32_t k = p4q_resample_tap(pairs, t);
                red += in[0] * k;
                green += in[1] * k;
                blue += in[2] * k;
            }
            uint8_t *out = output + x * P4Q_RESAMPLE_CHANNELS;
            out[0] = sample(red);
            out[1] = sample(green);
            out[2] = sample(blue);
        }
    }
}

void p4q_resample_rows_scalar(
    const p4q_resample_axis *axis, const uint8_t *input, size_t input_stride, size_t row_bytes, uint8_t *output, size_t output_stride) {
    for (size_t y = 0; y < axis->outputs; y++, output += output_stride) {
        const p4q_resample_pair *pairs = axis->taps + y * axis->pairs;
        const uint8_t *in = input + (size_t)axis->first[y] * input_stride;
        for (size_t i = 0; i < row_bytes; i++) {
            uint32_t sum = 0;
            for (int32_t t = 0; t < axis->count[y]; t++) sum += in[(size_t)t * input_stride + i] * p4q_resample_tap(pairs, t);
            output[i] = sample(sum);
        }
    }
}

p4q_resample_kernels p4q_resample_kernels_for(p4q_isa isa) {
    switch (isa) {
#if defined(__x86_64__)
    case P4Q_ISA_AVX2:
    case P4Q_ISA_AVX_VNNI:
    case P4Q_ISA_AVX512_VNNI:
    case P4Q_ISA_AMX: return (p4q_resample_kernels){p4q_resample_columns_avx2, p4q_resample_rows_avx2};
#elif defined(__aarch64__)
    case P4Q_ISA_NEON:
    case P4Q_ISA_NEON_DOT:
    case P4Q_ISA_NEON_I8MM: return (p4q_resample_kernels){p4q_resample_columns_neon, p4q_resample_rows_neon};
#endif
    default: return (p4q_resample_kernels){p4q_resample_columns_scalar, p4q_resample_rows_scalar};
    }
}
