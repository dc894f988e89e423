// Every resampling kernel this processor can run against the scalar definition, bit for bit, and whether each instruction set has its own: one that
// falls back to the definition gives the same bits, only slowly. A program of its own, without Swift, as gemm_check.c is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "p4q_resample.h"
#include "random.h"

enum { SIDE = 80, STRIDE = SIDE * P4Q_RESAMPLE_CHANNELS + 7, TAPS = 14, OUTPUTS = 40 };

typedef struct {
    int32_t first[OUTPUTS], count[OUTPUTS];
    p4q_resample_pair taps[OUTPUTS][TAPS / 2];
    p4q_resample_axis axis;
} random_axis;

// Taps of up to twice the weight of a pixel, of either sign; those after the last are 0.
static void fill(random_axis *a, size_t outputs, int32_t inputs) {
    memset(a, 0, sizeof *a);
    for (size_t i = 0; i < outputs; i++) {
        a->count[i] = 1 + (int32_t)(random32() % (uint32_t)(inputs < TAPS ? inputs : TAPS));
        a->first[i] = (int32_t)(random32() % (uint32_t)(inputs - a->count[i] + 1));
        for (int32_t t = 0; t < a->count[i]; t++) {
            int32_t tap = (int32_t)(random32() % (1u << 24)) - (1 << 23);
            p4q_resample_pair *pair = &a->taps[i][t / 2];
            pair->low[t % 2] = (int16_t)(tap & ((1 << P4Q_RESAMPLE_LOW_BITS) - 1));
            pair->high[t % 2] = (int16_t)((tap - pair->low[t % 2]) / (1 << P4Q_RESAMPLE_LOW_BITS));
        }
    }
    a->axis = (p4q_resample_axis){.first = a->first, .count = a->count, .taps = a->taps[0], .outputs = outputs, .pairs = TAPS / 2};
}

static void run(p4q_resample_kernels kernels, int columns, const random_axis *a, const uint8_t *input, size_t bytes, size_t lines, uint8_t *output) {
    if (columns)
        kernels.columns(&a->axis, input, STRIDE, bytes, output, STRIDE, lines);
    else
        kernels.rows(&a->axis, input, STRIDE, lines, output, STRIDE);
}

int main(int argc, char **argv) {
    static const char *sets[] = {"scalar", "avx2", "avx-vnni", "avx512-vnni", "amx-int8", "neon", "neon-dot", "neon-i8mm"};
    int rounds = argc > 1 ? atoi(argv[1]) : 1000, failures = 0;
    random_axis *a = calloc(1, sizeof *a);
    uint8_t *expected = malloc(SIDE * STRIDE), *found = malloc(SIDE * STRIDE);
    if (!a || !expected || !found) return 2;
    for (p4q_isa isa = P4Q_ISA_AVX2; isa <= P4Q_ISA_NEON_I8MM; isa++) {
        if (!p4q_isa_supported(isa)) continue;
        p4q_resample_kernels kernels = p4q_resample_kernels_for(isa), scalar = p4q_resample_kernels_for(P4Q_ISA_SCALAR);
        if (kernels.columns == scalar.columns || kernels.rows == scalar.rows) {
            printf("%s resamples by the scalar definition\n", sets[isa]);
            failures++;
        }
        for (int round = 0; round < rounds; round++) {
            state = 0x2545f4914f6cdd1du * (uint64_t)(round + 1);
            random32();
            int columns = round % 2;
            int32_t inputs = 1 + (int32_t)(random32() % SIDE);
            size_t lines = 1 + random32() % (columns ? SIDE : SIDE * P4Q_RESAMPLE_CHANNELS);
            // As many bytes as the kernel may read, in memory of their own, so that a sanitizer sees one more.
            size_t bytes = columns ? (lines - 1) * STRIDE + (size_t)inputs * P4Q_RESAMPLE_CHANNELS : (size_t)(inputs - 1) * STRIDE + lines;
            uint8_t *input = malloc(bytes);
            if (!input) return 2;
            int extreme = random32() % 4 == 0;
            for (size_t i = 0; i < bytes; i++) input[i] = extreme ? 255 : (uint8_t)random32();
            fill(a, 1 + random32() % OUTPUTS, inputs);
            memset(expected, 0xa5, SIDE * STRIDE), memset(found, 0xa5, SIDE * STRIDE);
            run(scalar, columns, a, input, bytes, lines, expected);
            run(kernels, columns, a, input, bytes, lines, found);
            if (memcmp(expected, found, SIDE * STRIDE) != 0) {
                printf("%s: %s differ, %d inputs, %d outputs, %d lines\n", sets[isa], columns ? "columns" : "rows", (int)inputs,
                       (int)a->axis.outputs, (int)lines);
                if (++failures > 20) return 1;
            }
            free(input);
        }
        printf("%s: %d resampled pictures compared\n", sets[isa], rounds);
    }
    free(a), free(expected), free(found);
    return failures > 0;
}
