// Attention's operands: u8 codes of keys and values, minus 128, in the 8-bit layout of weights.
#include "gemm_layout.h"

typedef uint8_t u8x16 __attribute__((ext_vector_type(16)));
typedef int32_t s32x16 __attribute__((ext_vector_type(16)));

enum { MIDDLE = 128 };  // code that becomes 0

// Row `index` of the segments one after the other.
static const uint8_t *row_at(const p4q_rows *segments, int64_t count, int64_t index) {
    int64_t i = 0;
    while (i + 1 < count && index >= segments[i].rows) index -= segments[i++].rows;
    return segments[i].codes + index * segments[i].stride;
}

static int64_t rows_of(const p4q_rows *segments, int64_t count) {
    int64_t rows = 0;
    for (int64_t i = 0; i < count; i++) rows += segments[i].rows;
    return rows;
}

static u8x16 load_codes(const uint8_t *codes, int64_t count) {
    u8x16 v = MIDDLE;
    memcpy(&v, codes, (size_t)smaller(count, 16));
    return v ^ (uint8_t)MIDDLE;
}

void p4q_pack_keys(const p4q_rows *segments, int64_t count, int64_t k, uint8_t *packed, int32_t *sums) {
    int64_t rows = rows_of(segments, count), bytes = panel_bytes(padded_inputs(k, 8), 8);
    memset(packed, 0, (size_t)p4q_packed_bytes(rows, k, 8));
    for (int64_t r = 0; r < rows; r++) {
        const uint8_t *row = row_at(segments, count, r);
        uint8_t *channel = packed + r / P4Q_PANEL * bytes + r % P4Q_PANEL * P4Q_QUAD;
        int32_t sum = 0;
        for (int64_t i = 0; i < k; i += P4Q_QUAD) {
            uint8_t quad[P4Q_QUAD] = {MIDDLE, MIDDLE, MIDDLE, MIDDLE};
            if (i + P4Q_QUAD <= k)
                memcpy(quad, row + i, P4Q_QUAD);
            else
                memcpy(quad, row + i, (size_t)(k - i));
            uint32_t four;
            memcpy(&four, quad, sizeof four);
            four ^= 0x80808080u;
            memcpy(channel + i / P4Q_QUAD * P4Q_QUAD_BYTES, &four, sizeof four);
        }
        for (int64_t i = 0; i < k; i++) sum += row[i];
        sums[r] = sum - (int32_t)k * MIDDLE;
    }
}

// Four rows of sixteen channels to one quad.
static void store_interleaved(const u8x16 x[4], uint8_t *to) {
    u8x16 low01 = __builtin_shufflevector(x[0], x[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    u8x16 high01 = __builtin_shufflevector(x[0], x[1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    u8x16 low23 = __builtin_shufflevector(x[2], x[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    u8x16 high23 = __builtin_shufflevector(x[2], x[3], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    u8x16 quads[4] = {
        __builtin_shufflevector(low01, low23, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23),
        __builtin_shufflevector(low01, low23, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31),
        __builtin_shufflevector(high01, high23, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23),
        __builtin_shufflevector(high01, high23, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31),
    };
    memcpy(to, quads, sizeof quads);
}

void p4q_pack_values(const p4q_rows *segments, int64_t count, int64_t n, uint8_t *packed, int32_t *sums) {
    typedef int8_t s8x16 __attribute__((ext_vector_type(16)));
    typedef int16_t s16x16 __attribute__((ext_vector_type(16)));
    int64_t rows = rows_of(segments, count), bytes = panel_bytes(padded_inputs(rows, 8), 8);
    for (int64_t c = 0; c < n; c += P4Q_PANEL) {
        s32x16 sum = 0;
        for (int64_t r = 0; r < rows; r += P4Q_QUAD) {
            u8x16 x[4] = {0, 0, 0, 0};
            s16x16 four = 0;
            for (int64_t i = 0; i < smaller(4, rows - r); i++) {
                x[i] = load_codes(row_at(segments, count, r + i) + c, n - c);
                s8x16 codes;
                memcpy(&codes, &x[i], sizeof codes);
                four += __builtin_convertvector(codes, s16x16);
            }
            sum += __builtin_convertvector(four, s32x16);
            store_interleaved(x, packed + c / P4Q_PANEL * bytes + r / P4Q_QUAD * P4Q_QUAD_BYTES);
        }
        memcpy(sums + c, &sum, (size_t)smaller(P4Q_PANEL, n - c) * sizeof *sums);
    }
}
