// Every float kernel this processor can run against the scalar definition, bit for bit, NaN payloads aside. A program of its own, without
// Swift, as gemm_check.c is. Rows of n elements.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "p4q_float.h"
#include "random.h"

enum { LARGEST = 3100, ROWS = 3, ROOM = ROWS * LARGEST };

// Near where an exponent, x log2(e) or QuickGELU's 1.702 x log2(e), lies between two whole numbers: which of them it is rounded to shows in the
// last bit.
static float near_tie(uint32_t r) {
    float half = (float)(int32_t)(r % 200) - 99.5f, x = r & 256 ? half * 0.69314718056f : half * 0.40725451f;
    for (uint32_t i = r >> 9 & 7; i > 0; i--) x = nextafterf(x, r & 4096 ? INFINITY : -INFINITY);
    return x;
}

// Mostly what activations are, now and then an extreme.
static void fill(float *x, size_t n, int extremes) {
    static const float odd[] = {0, -0.0f, 1e-42f, 1e-38f, 1e30f, -1e30f, 88.8f, -87.4f, -104, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < n; i++) {
        uint32_t r = random32();
        x[i] = extremes && r % 16 == 0   ? odd[r / 16 % 12]
               : extremes && r % 16 == 1 ? near_tie(r / 16)
                                         : (float)(int32_t)random32() * 0x1p-28f;
    }
}

typedef struct {
    float x[ROOM], y[ROOM], z[ROOM], a[LARGEST], b[LARGEST], out[ROOM], out2[ROOM];
    double number;
} memory;

static const char *names[] = {"layer_norm", "softmax", "add_bias", "bias_quick_gelu", "bias_gelu", "dot_rows", "normalize", "exp",
                              "quantization_error", "range", "layer_norm_gradient", "softmax_gradient", "quick_gelu_gradient",
                              "gelu_gradient", "normalize_gradient", "clip_gradient", "requantize"};
enum { KERNELS = sizeof names / sizeof *names };

static void run(const p4q_float_kernels *k, int kernel, memory *m, size_t n, size_t first) {
    size_t all = ROWS * n;
    switch (kernel) {
    case 0: k->layer_norm(m->x, n, m->a, m->b, 1e-5f, ROWS, n, m->out, n); break;
    case 1: k->softmax(m->x, n, 0.125f, ROWS, n, first, 1); break;
    case 2: k->add_bias(m->x, n, m->a, ROWS, n); break;
    case 3:
        if (first % 2) memset(m->a, 0, sizeof m->a);  // so that ties stay ties
        k->bias_quick_gelu(m->x, n, m->a, ROWS, n);
        break;
    case 4: k->bias_gelu(m->x, n, m->a, ROWS, n); break;
    case 5: k->dot_rows(m->a, m->x, n, ROWS, n, m->out); break;
    case 6: k->normalize(m->x, n, m->out); break;
    case 7: k->exp(m->x, all, m->out); break;
    case 8: m->number = k->quantization_error(m->x, all, 0.03f, 117, 255); break;
    case 9: m->out[0] = INFINITY, m->out[1] = -INFINITY, k->range(m->x, all, m->out, m->out + 1); break;
    case 10: k->layer_norm_gradient(m->y, n, m->x, n, m->a, 1e-5f, ROWS, n, m->out, n, m->out2, m->out2 + LARGEST); break;
    case 11: k->softmax_gradient(m->y, n, m->z, n, 0.125f, ROWS, n, first, 1); break;
    case 12: k->quick_gelu_gradient(m->y, m->x, all); break;
    case 13: k->gelu_gradient(m->y, m->x, all); break;
    case 14: k->normalize_gradient(m->y, m->x, n, m->out); break;
    case 15: k->clip_gradient(m->y, m->x, all, 31, 117, 255); break;
    case 16: k->requantize(m->x, all, 31, 1 / 31.0f, 117, 255, m->out); break;
    }
}

static int same(const memory *one, const memory *two) {
    const float *a = one->x, *b = two->x;
    for (size_t i = 0; i < offsetof(memory, number) / sizeof(float); i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) return 0;
    return memcmp(&one->number, &two->number, sizeof(double)) == 0 || (isnan(one->number) && isnan(two->number));
}

int main(int argc, char **argv) {
    static const size_t widths[] = {0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 50, 64, 77, 127, 192, 509, 512, 768, 1024, 1025, 2053, 3072};
    static const char *sets[] = {"scalar", "avx2", "avx-vnni", "avx512-vnni", "amx-int8", "neon", "neon-dot", "neon-i8mm"};
    int rounds = argc > 1 ? atoi(argv[1]) : 1000, failures = 0;
    memory *start = calloc(1, sizeof *start), *expected = calloc(1, sizeof *start), *found = calloc(1, sizeof *start);
    if (!start || !expected || !found) return 2;
    for (p4q_isa isa = P4Q_ISA_AVX2; isa <= P4Q_ISA_NEON_I8MM; isa++) {
        if (!p4q_isa_supported(isa)) continue;
        for (int round = 0; round < rounds; round++) {
            state = 0x2545f4914f6cdd1du * (uint64_t)(round + 1);
            random32();
            size_t n = widths[random32() % 23];
            int kernel = round % KERNELS, extremes = random32() % 3 == 0;
            fill(start->x, ROOM, extremes), fill(start->y, ROOM, extremes), fill(start->z, ROOM, 0);
            fill(start->a, LARGEST, extremes), fill(start->b, LARGEST, extremes);
            // What sums begin with is 0: a large one would hide last bits.
            size_t first = n ? 1 + random32() % n : 0;
            *expected = *start, *found = *start;
            run(p4q_float_kernels_for(P4Q_ISA_SCALAR), kernel, expected, n, first);
            run(p4q_float_kernels_for(isa), kernel, found, n, first);
            if (!same(expected, found)) {
                printf("%s: %s differs, rows of %d, first %d%s\n", sets[isa], names[kernel], (int)n, (int)first, extremes ? ", extremes" : "");
                if (++failures > 20) return 1;
            }
        }
        printf("%s: %d runs of %d float kernels compared\n", sets[isa], rounds, KERNELS);
    }
    free(start), free(expected), free(found);
    return failures > 0;
}
