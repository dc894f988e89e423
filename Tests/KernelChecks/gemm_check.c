// Every integer kernel this processor can run against the scalar definition, bit for bit. A program of its own, without Swift, so that it can
// be cross-compiled and run under an emulator, or with a sanitizer; `run.sh` does both.
// M rows of activations, N output channels, K inputs.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "p4q_gemm.h"
#include "random.h"

static void *allocate(size_t bytes) {
    void *p = malloc(bytes + !bytes);
    if (!p) exit(2);
    return p;
}

static float random_float(void) {
    static const float odd[] = {0, -0.0f, 1e-38f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN};
    uint32_t r = random32();
    return r % 16 == 0 ? odd[r / 16 % 8] : (float)(int32_t)random32() * 0x1p-31f;
}

typedef struct {
    int64_t m, n, k;
    int32_t bits, a_top, a_zero, w_zero;
    int64_t visible;
    p4q_store store;
} problem;

// The output of one instruction set; the same random operands for the same seed.
static uint8_t *run(problem p, p4q_isa isa, uint64_t seed, size_t *bytes) {
    state = seed;
    int64_t stride = p.k + random32() % 5, out_stride = p.n + random32() % 5;
    size_t a_bytes = p.m ? (size_t)((p.m - 1) * stride + p.k) : 0, w_bytes = (size_t)p4q_packed_bytes(p.n, p.k, p.bits);
    uint8_t *a = allocate(a_bytes), *w = allocate(w_bytes);
    int8_t *codes = allocate((size_t)(p.n * p.k));
    int32_t *sums = allocate((size_t)p.n * 4);
    float *scale = allocate((size_t)p.n * 4), *bias = allocate((size_t)p.n * 4);
    int extreme = random32() % 4 == 0;
    for (size_t i = 0; i < a_bytes; i++) a[i] = extreme ? (uint8_t)p.a_top : (uint8_t)(random32() % (uint32_t)(p.a_top + 1));
    int32_t half = 1 << (p.bits - 1);
    for (int64_t i = 0; i < p.n * p.k; i++) codes[i] = extreme ? (int8_t)-half : (int8_t)((int32_t)(random32() % (2 * (uint32_t)half)) - half);
    p4q_pack_codes(codes, p.n, p.k, p.bits, w);
    p4q_packed_sums(w, p.n, p.k, p.bits, sums);
    for (int64_t i = 0; i < p.n; i++) scale[i] = random_float(), bias[i] = random_float();
    size_t size = p.store < P4Q_STORE_CODES ? 4 : 1;
    *bytes = p.m ? (size_t)((p.m - 1) * out_stride + p.n) * size : 0;
    uint8_t *out = allocate(*bytes);
    for (size_t i = 0; i < *bytes; i++) out[i] = size == 4 && i % 4 == 3 ? 0x3f : (uint8_t)random32();
    size_t scratch_bytes = (size_t)((p4q_gemm_scratch_bytes(isa, p.m, p.k) + 63) / 64 * 64);
    void *scratch = aligned_alloc(64, scratch_bytes);
    memset(scratch, 0xa5, scratch_bytes);
    p4q_gemm g = {.m = p.m, .n = p.n, .k = p.k, .a = a, .a_stride = stride, .a_visible = p.visible, .a_zero = p.a_zero, .a_top = p.a_top,
                  .w = w, .w_bits = p.bits, .w_zero = p.w_zero, .w_sums = sums, .first_panel = 0, .end_panel = (p.n + 15) / 16};
    p4q_epilogue e = {.store = p.store, .scale = random32() % 4 ? scale : NULL, .bias = random32() % 4 ? bias : NULL, .common_scale = 1e-3f,
                      .inverse_scale = (float)(random32() % 1000) * 0.01f, .zero_point = (float)(random32() % 256),
                      .top = (float)((1 << (2 + random32() % 7)) - 1), .out = out, .out_stride = out_stride,
                      .out_visible = p.visible >= 0 && random32() % 2 ? p.visible : -1};
    if (random32() % 8 == 0) {  // every other value is a rounding tie
        e.scale = e.bias = NULL;
        e.common_scale = 0.5f;
        e.inverse_scale = 1;
    }
    g.epilogue = e;
    p4q_gemm_run(isa, &g, scratch);
    free(a), free(w), free(codes), free(sums), free(scale), free(bias), free(scratch);
    return out;
}

static int same(const uint8_t *x, const uint8_t *y, size_t bytes, p4q_store store) {
    if (store != P4Q_STORE_FLOATS && store != P4Q_ADD_FLOATS) return memcmp(x, y, bytes) == 0;
    for (size_t i = 0; i < bytes; i += 4) {
        float u, v;
        memcpy(&u, x + i, 4), memcpy(&v, y + i, 4);
        if (memcmp(&u, &v, 4) != 0 && !(isnan(u) && isnan(v))) return 0;
    }
    return 1;
}

// Keys or values of two segments of rows, packed; the same random codes for the same seed. After the operand and its sums a byte each that must stay.
static uint8_t *pack(p4q_isa isa, int values, int64_t rows, int64_t width, uint64_t seed, size_t *bytes) {
    state = seed;
    int64_t strides[] = {width + random32() % 5, width + random32() % 5}, own = random32() % (uint32_t)(rows + 1);
    int64_t counts[] = {rows - own, own}, channels = values ? width : rows;
    int extreme = random32() % 4 == 0;
    uint8_t *codes[2];
    p4q_rows segments[2];
    for (int i = 0; i < 2; i++) {
        size_t size = counts[i] ? (size_t)((counts[i] - 1) * strides[i] + width) : 0;
        codes[i] = allocate(size);
        for (size_t j = 0; j < size; j++) codes[i][j] = extreme ? 255 : (uint8_t)random32();
        segments[i] = (p4q_rows){.codes = codes[i], .stride = strides[i], .rows = counts[i]};
    }
    size_t operand = (size_t)p4q_packed_bytes(channels, values ? rows : width, 8), all = operand + (size_t)channels * 4;
    uint8_t *out = allocate(all + 1);
    int32_t *sums = allocate((size_t)channels * 4);
    memset(out, 0xa5, all + 1);
    (values ? p4q_pack_values : p4q_pack_keys)(isa, segments, 2, width, out, sums);
    if (out[operand] != 0xa5) printf("%s: written behind the operand\n", values ? "values" : "keys");
    memcpy(out + operand, sums, (size_t)channels * 4);
    free(codes[0]), free(codes[1]), free(sums);
    *bytes = all + 1;
    return out;
}

static int64_t pick(const int64_t *values, size_t count) { return values[random32() % count]; }

int main(int argc, char **argv) {
    static const int64_t ms[] = {0, 1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 17, 29, 50, 77, 97, 131};
    static const int64_t ns[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 50, 64, 77, 97};
    static const int64_t ks[] = {0, 1, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 50, 64, 67, 127, 257, 512, 513, 768, 1031, 3072};
    static const char *names[] = {"scalar", "avx2", "avx-vnni", "avx512-vnni", "amx-int8", "neon", "neon-dot", "neon-i8mm"};
    int rounds = argc > 1 ? atoi(argv[1]) : 3000, failures = 0;
    for (p4q_isa isa = P4Q_ISA_AVX2; isa <= P4Q_ISA_NEON_I8MM; isa++) {
        if (!p4q_isa_supported(isa)) continue;
        int64_t outputs = 0;
        for (int round = 0; round < rounds; round++) {
            uint64_t seed = state = 0x2545f4914f6cdd1du * (uint64_t)(round + 1);
            random32();
            problem p = {.m = pick(ms, 17), .n = pick(ns, 13), .k = pick(ks, 23), .bits = (int32_t[]){8, 4, 3, 2}[random32() % 4],
                         .a_top = (1 << (2 + random32() % 7)) - 1, .store = random32() % 6, .visible = -1};
            p.a_zero = random32() % 3 ? (int32_t)(random32() % (uint32_t)(p.a_top + 1)) : (random32() % 2 ? p.a_top : 0);
            if (random32() % 3 == 0) p.w_zero = (int32_t)(random32() % 256) - 128;
            if (random32() % 4 == 0) p.visible = random32() % 60;
            size_t bytes;
            uint8_t *expected = run(p, P4Q_ISA_SCALAR, seed, &bytes), *found = run(p, isa, seed, &bytes);
            if (!same(expected, found, bytes, p.store)) {
                printf("%s differs: M %d N %d K %d, %d bits, a_top %d, a_zero %d, w_zero %d, visible %d, store %d\n", names[isa], (int)p.m,
                       (int)p.n, (int)p.k, p.bits, p.a_top, p.a_zero, p.w_zero, (int)p.visible, p.store);
                if (++failures > 20) return 1;
            }
            outputs += p.m * p.n;
            free(expected), free(found);
        }
        for (int round = 0; round < rounds; round++) {
            uint64_t seed = state = 0x2545f4914f6cdd1du * (uint64_t)(round + 1);
            random32();
            int values = random32() % 2;
            int64_t rows = pick(ms, 17), width = pick(ns, 13);
            if (random32() % 16 == 0) *(random32() % 2 ? &rows : &width) = 1031;
            size_t bytes;
            uint8_t *expected = pack(P4Q_ISA_SCALAR, values, rows, width, seed, &bytes), *found = pack(isa, values, rows, width, seed, &bytes);
            if (memcmp(expected, found, bytes) != 0) {
                printf("%s differs: %s, %d rows of %d\n", names[isa], values ? "values" : "keys", (int)rows, (int)width);
                if (++failures > 20) return 1;
            }
            free(expected), free(found);
        }
        printf("%s: %d products, %lld outputs compared, %d of attention's operands\n", names[isa], rounds, (long long)outputs, rounds);
    }
    return failures != 0;
}
