// The AVX-512 VNNI, AVX-VNNI and AMX intrinsics that the kernels use, in plain C, so that the kernels' logic runs on processors without them.
// What the compiler makes of the real intrinsics is seen only on a processor that has them.
#include <stdint.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

typedef long long __m512i __attribute__((vector_size(64)));
typedef long long __m256i __attribute__((vector_size(32)));

static inline void dot_emulated(int32_t *acc, const uint8_t *a, const int8_t *b, int lanes) {
    for (int i = 0; i < lanes; i++)
        for (int j = 0; j < 4; j++) acc[i] += a[4 * i + j] * b[4 * i + j];
}

#define EMULATED(BITS, DOT)                                                                                        \
    static inline __m##BITS##i _mm##BITS##_setzero_si##BITS(void) { return (__m##BITS##i){0}; }                     \
    static inline __m##BITS##i load##BITS(const void *p) {                                                          \
        __m##BITS##i v;                                                                                             \
        memcpy(&v, p, sizeof v);                                                                                    \
        return v;                                                                                                   \
    }                                                                                                               \
    static inline void store##BITS(void *p, __m##BITS##i v) { memcpy(p, &v, sizeof v); }                            \
    static inline __m##BITS##i _mm##BITS##_set1_epi32(int32_t x) {                                                  \
        int32_t lanes[BITS / 32];                                                                                   \
        for (int i = 0; i < BITS / 32; i++) lanes[i] = x;                                                           \
        return load##BITS(lanes);                                                                                   \
    }                                                                                                               \
    static inline __m##BITS##i _mm##BITS##_set1_epi8(int8_t x) { return _mm##BITS##_set1_epi32(x * 0x01010101); }   \
    static inline __m##BITS##i _mm##BITS##_add_epi32(__m##BITS##i a, __m##BITS##i b) {                              \
        uint32_t x[BITS / 32], y[BITS / 32];                                                                        \
        memcpy(x, &a, sizeof x), memcpy(y, &b, sizeof y);                                                           \
        for (int i = 0; i < BITS / 32; i++) x[i] += y[i];                                                           \
        return load##BITS(x);                                                                                       \
    }                                                                                                               \
    static inline __m##BITS##i DOT(__m##BITS##i acc, __m##BITS##i a, __m##BITS##i b) {                              \
        dot_emulated((int32_t *)&acc, (const uint8_t *)&a, (const int8_t *)&b, BITS / 32);                          \
        return acc;                                                                                                 \
    }

EMULATED(512, _mm512_dpbusd_epi32)
EMULATED(256, _mm256_dpbusd_avx_epi32)
#define _mm512_loadu_si512 load512
#define _mm512_storeu_si512 store512
#define _mm256_loadu_si256 load256
#define _mm256_storeu_si256 store256

// AMX's eight tile registers; `rows` and `bytes` are 0 without a configuration.
static _Thread_local struct {
    int rows[8], bytes[8];
    uint8_t codes[8][16][64];
} tiles;

static inline void _tile_loadconfig(const void *shapes) {
    const uint8_t *p = shapes;
    memset(&tiles, 0, sizeof tiles);
    for (int t = 0; t < 8; t++) tiles.bytes[t] = p[16 + 2 * t] + 256 * p[17 + 2 * t], tiles.rows[t] = p[48 + t];
}

static inline void _tile_release(void) { memset(&tiles, 0, sizeof tiles); }

static inline void _tile_zero(int t) { memset(tiles.codes[t], 0, sizeof tiles.codes[t]); }

static inline void _tile_loadd(int t, const void *p, int64_t stride) {
    _tile_zero(t);
    for (int r = 0; r < tiles.rows[t]; r++) memcpy(tiles.codes[t][r], (const char *)p + r * stride, (size_t)tiles.bytes[t]);
}

static inline void _tile_stored(int t, void *p, int64_t stride) {
    for (int r = 0; r < tiles.rows[t]; r++) memcpy((char *)p + r * stride, tiles.codes[t][r], (size_t)tiles.bytes[t]);
}

static inline void _tile_dpbusd(int c, int a, int b) {
    for (int m = 0; m < tiles.rows[c]; m++)
        for (int k = 0; k < tiles.rows[b]; k++)
            for (int n = 0; n < tiles.bytes[c] / 4; n++)
                dot_emulated((int32_t *)(void *)tiles.codes[c][m] + n, tiles.codes[a][m] + 4 * k, (const int8_t *)tiles.codes[b][k] + 4 * n, 1);
}

#pragma clang attribute pop
