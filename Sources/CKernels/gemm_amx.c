// u8 x s8 for AMX: tdpbusd on tiles of 16 rows and 64 bytes, exact in 32-bit lanes. Sixteen quads of a packed panel are a tile of weights
// as they lie; two tiles of activations and two of weights feed four of accumulators.
#include "gemm_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8"))), \
                             apply_to = function)

#define TILE_ROWS 32
#define TILE_PANELS 2
#define ANY_HEIGHT
#define STRIP_INPUTS 64
#define FETCHED_QUADS(strips) ((strips) < 2 ? 1 : (strips) < 4 ? 2 : (strips) < 8 ? 4 : 8)
#define A_OFFSET 0
#define IN_PLACE 1
#define STORES_BESIDE
#define UNPACKS_BESIDE
#define P4Q_AVX512
typedef uint8_t a_code;
typedef int8_t b_code;

enum {
    AMX_ROWS = 16,                          // of one tile register
    AMX_QUADS = 16,                         // of a tile of weights
    AMX_WEIGHTS = AMX_QUADS * P4Q_QUAD_BYTES,
    LINE = 64,
    AHEAD = 2,  // steps of a tile by which its weights are unpacked earlier: a tile load waits until what it reads has left the store buffer
};

// Tile registers: sums of the upper rows and panels 0 and 1, of the lower rows, two of activations, two of weights.
enum { UPPER0 = 0, UPPER1 = 1, LOWER0 = 2, LOWER1 = 3, UPPER_CODES = 4, LOWER_CODES = 5, WEIGHTS0 = 6, WEIGHTS1 = 7 };

// ldtilecfg's operand for palette 1 (Intel SDM, volume 1, 18.2).
typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

static_assert(sizeof(tile_shapes) == 64, "ldtilecfg reads 64 bytes");

static _Thread_local int64_t configured;  // rows that this thread's tiles have, 0 without tiles

static inline int64_t upper_rows(int64_t rows) { return rows > AMX_ROWS ? (rows + 1) / 2 : rows; }

static void configure(int64_t rows) {
    if (rows == configured) return;
    tile_shapes shapes = {.palette = 1};
    for (int i = 0; i < 8; i++) shapes.row_bytes[i] = LINE;
    uint8_t upper = (uint8_t)upper_rows(rows), lower = (uint8_t)larger(rows - upper, 1);
    shapes.rows[UPPER0] = shapes.rows[UPPER1] = shapes.rows[UPPER_CODES] = upper;
    shapes.rows[LOWER0] = shapes.rows[LOWER1] = shapes.rows[LOWER_CODES] = lower;
    shapes.rows[WEIGHTS0] = shapes.rows[WEIGHTS1] = AMX_QUADS;
    _tile_loadconfig(&shapes);
    configured = rows;
}

static void release(void) {
    if (configured) _tile_release();
    configured = 0;
}

#include "gemm_unpack.inc"

static inline void copy_codes16(const uint8_t *codes, uint8_t *to) { memcpy(to, codes, 16); }
#define COPY_STRIP(codes, to) memcpy(to, codes, STRIP_INPUTS)

// The weights of tiles, from quad `from` on, to where they are read.
static inline __attribute__((always_inline)) void unpack_tiles(const int P, packed_weights packed, int8_t *b, int64_t b_stride, int64_t from,
                                                               int64_t quads) {
    const uint8_t *part = packed.part + panel_bytes(from * P4Q_QUAD, packed.bits);
    for (int i = 0; i < P; i++)
        unpack_quads(packed.bits, part + i * packed.stride, quads, b + i * b_stride + from * P4Q_QUAD_BYTES);
}

// Sixteen quads: H tiles of activations, P of weights.
static inline __attribute__((always_inline)) void add_tiles(const int H, const int P, const uint8_t *upper, const uint8_t *lower, const int8_t *b,
                                                            int64_t b_stride) {
    _tile_loadd(WEIGHTS0, b, LINE);
    _tile_loadd(UPPER_CODES, upper, LINE);
    _tile_dpbusd(UPPER0, UPPER_CODES, WEIGHTS0);
    if (P == 2) {
        _tile_loadd(WEIGHTS1, b + b_stride, LINE);
        _tile_dpbusd(UPPER1, UPPER_CODES, WEIGHTS1);
    }
    if (H == 1) return;
    _tile_loadd(LOWER_CODES, lower, LINE);
    _tile_dpbusd(LOWER0, LOWER_CODES, WEIGHTS0);
    if (P == 2) _tile_dpbusd(LOWER1, LOWER_CODES, WEIGHTS1);
}

static inline __attribute__((always_inline)) void start_sums(const int H, const int P, beginning from, int64_t below) {
    const int32_t *lower = from.sums + below * from.row;
    int64_t stride = from.row * (int64_t)sizeof(int32_t);
    _tile_loadd(UPPER0, from.sums, stride);
    if (P == 2) _tile_loadd(UPPER1, from.sums + from.panel, stride);
    if (H == 2) _tile_loadd(LOWER0, lower, stride);
    if (H == 2 && P == 2) _tile_loadd(LOWER1, lower + from.panel, stride);
}

static inline __attribute__((always_inline)) void store_sums(const int H, const int P, int32_t *upper, int32_t *lower, int64_t stride) {
    _tile_stored(UPPER0, upper, LINE);
    if (P == 2) _tile_stored(UPPER1, upper + stride, LINE);
    if (H == 2) _tile_stored(LOWER0, lower, LINE);
    if (H == 2 && P == 2) _tile_stored(LOWER1, lower + stride, LINE);
}

static void store_part(waiting *before, int64_t rows);

// Vector instructions store the strip before this one while the tile unit multiplies, and unpack weights to `unpacked`, where they are read,
// unless that is null.
static inline __attribute__((always_inline)) void tile_of_height(const int H, const int P, packed_weights packed, int8_t *unpacked, int64_t rows,
                                                                 const uint8_t *a, const int8_t *b, int64_t b_stride, int64_t quads,
                                                                 beginning from, int32_t *acc, int64_t acc_stride, tile_work work) {
    int64_t below = upper_rows(rows);
    int64_t part = round_up((TILE_ROWS * AMX_QUADS - 1) / larger(quads, AMX_QUADS) + 1, 2);  // rows are stored in pairs
    fetching ahead = work.ahead;
    if (unpacked) unpack_tiles(P, packed, unpacked, b_stride, 0, smaller(AHEAD * AMX_QUADS, quads));
    start_sums(H, P, from, below);
    int64_t q = 0;
    for (; q + AMX_QUADS <= quads; q += AMX_QUADS, a += rows * STRIP_INPUTS, b += AMX_WEIGHTS) {
        int64_t next = q + AHEAD * AMX_QUADS;
        if (unpacked && next < quads) unpack_tiles(P, packed, unpacked, b_stride, next, smaller(AMX_QUADS, quads - next));
        for (int64_t i = 0; ahead.stride && i < AMX_QUADS; i += ahead.quads, ahead.lines += LINE) {
            __builtin_prefetch(ahead.lines, 0, 2);
            if (P == 2) __builtin_prefetch(ahead.lines + ahead.stride, 0, 2);
        }
        add_tiles(H, P, a, a + below * STRIP_INPUTS, b, b_stride);
        store_part(work.before, part);
    }
    if (q < quads) {  // what lies after a panel's last quad may be another's, or nobody's
        int8_t rest[2][AMX_WEIGHTS] = {{0}};
        for (int i = 0; i < P; i++) memcpy(rest[i], b + i * b_stride, (size_t)(quads - q) * P4Q_QUAD_BYTES);
        add_tiles(H, P, a, a + below * STRIP_INPUTS, rest[0], AMX_WEIGHTS);
    }
    store_part(work.before, TILE_ROWS);
    store_sums(H, P, acc, acc + below * P4Q_PANEL, acc_stride);
}

static inline __attribute__((always_inline)) void tile(int64_t rows, const int P, const uint8_t *a, const int8_t *b, int64_t b_stride,
                                                       int64_t quads, beginning from, int32_t *acc, int64_t acc_stride, tile_work work) {
    packed_weights none = {0};
    configure(rows);
    if (rows > AMX_ROWS)
        tile_of_height(2, P, none, NULL, rows, a, b, b_stride, quads, from, acc, acc_stride, work);
    else
        tile_of_height(1, P, none, NULL, rows, a, b, b_stride, quads, from, acc, acc_stride, work);
}

// Apart from `tile`, so that it takes no registers there.
static __attribute__((noinline)) void unpacking_tile(packed_weights packed, int64_t rows, int panels, const uint8_t *a, int8_t *b,
                                                     int64_t b_stride, int64_t quads, beginning from, int32_t *acc, int64_t acc_stride,
                                                     tile_work work) {
    configure(rows);
    if (panels == 2 && rows > AMX_ROWS)
        tile_of_height(2, 2, packed, b, rows, a, b, b_stride, quads, from, acc, acc_stride, work);
    else if (panels == 2)
        tile_of_height(1, 2, packed, b, rows, a, b, b_stride, quads, from, acc, acc_stride, work);
    else if (rows > AMX_ROWS)
        tile_of_height(2, 1, packed, b, rows, a, b, b_stride, quads, from, acc, acc_stride, work);
    else
        tile_of_height(1, 1, packed, b, rows, a, b, b_stride, quads, from, acc, acc_stride, work);
}

#include "gemm_body.inc"

void p4q_gemm_amx(const p4q_gemm *gemm, void *scratch) {
    run_product(gemm, scratch);
    release();
}

int64_t p4q_gemm_peak_amx(int64_t rounds) {
    configure(TILE_ROWS);
    uint8_t zeros[AMX_WEIGHTS] = {0};
    _tile_loadd(UPPER_CODES, zeros, LINE);
    _tile_loadd(WEIGHTS0, zeros, LINE);
    for (int64_t round = 0; round < rounds; round++) {
        _tile_dpbusd(UPPER0, UPPER_CODES, WEIGHTS0);
        _tile_dpbusd(UPPER1, UPPER_CODES, WEIGHTS0);
        _tile_dpbusd(LOWER0, UPPER_CODES, WEIGHTS0);
        _tile_dpbusd(LOWER1, UPPER_CODES, WEIGHTS0);
    }
    release();
    return rounds * 4 * AMX_ROWS * P4Q_PANEL * AMX_QUADS * P4Q_QUAD * 2;
}

#pragma clang attribute pop
#endif
