// Attention's operands: u8 codes of keys and values, minus 128, in the 8-bit layout of weights. Their definition in plain C, and who makes them.
#include "gemm_internal.h"

const uint8_t *p4q_row_at(const p4q_rows *segments, int64_t count, int64_t index) {
    int64_t i = 0;
    while (i + 1 < count && index >= segments[i].rows) index -= segments[i++].rows;
    return segments[i].codes + index * segments[i].stride;
}

int64_t p4q_row_count(const p4q_rows *segments, int64_t count) {
    int64_t rows = 0;
    for (int64_t i = 0; i < count; i++) rows += segments[i].rows;
    return rows;
}

// Where the code of a channel's input lies; panels of `bytes`.
static int64_t place(int64_t channel, int64_t input, int64_t bytes) {
    return channel / P4Q_PANEL * bytes + input / P4Q_QUAD * P4Q_QUAD_BYTES + channel % P4Q_PANEL * P4Q_QUAD + input % P4Q_QUAD;
}

void p4q_pack_keys_scalar(const p4q_rows *segments, int64_t count, int64_t k, uint8_t *packed, int32_t *sums) {
    int64_t rows = p4q_row_count(segments, count), bytes = panel_bytes(padded_inputs(k, 8), 8);
    memset(packed, 0, (size_t)p4q_packed_bytes(rows, k, 8));
    for (int64_t r = 0; r < rows; r++) {
        const uint8_t *row = p4q_row_at(segments, count, r);
        sums[r] = 0;
        for (int64_t i = 0; i < k; i++) {
            packed[place(r, i, bytes)] = row[i] ^ P4Q_MIDDLE;
            sums[r] += row[i] - P4Q_MIDDLE;
        }
    }
}

void p4q_pack_values_scalar(const p4q_rows *segments, int64_t count, int64_t n, uint8_t *packed, int32_t *sums) {
    int64_t rows = p4q_row_count(segments, count), bytes = panel_bytes(padded_inputs(rows, 8), 8);
    memset(packed, 0, (size_t)p4q_packed_bytes(n, rows, 8));
    memset(sums, 0, (size_t)n * sizeof *sums);
    for (int64_t r = 0; r < rows; r++) {
        const uint8_t *row = p4q_row_at(segments, count, r);
        for (int64_t c = 0; c < n; c++) {
            packed[place(c, r, bytes)] = row[c] ^ P4Q_MIDDLE;
            sums[c] += row[c] - P4Q_MIDDLE;
        }
    }
}

void p4q_pack_keys(p4q_isa isa, const p4q_rows *segments, int64_t count, int64_t k, uint8_t *packed, int32_t *sums) {
    switch (isa) {
#if defined(__x86_64__)
    case P4Q_ISA_AVX2:
    case P4Q_ISA_AVX_VNNI: return p4q_pack_keys_avx2(segments, count, k, packed, sums);
    case P4Q_ISA_AVX512_VNNI:
    case P4Q_ISA_AMX: return p4q_pack_keys_avx512(segments, count, k, packed, sums);
#elif defined(__aarch64__)
    case P4Q_ISA_NEON:
    case P4Q_ISA_NEON_DOT:
    case P4Q_ISA_NEON_I8MM: return p4q_pack_keys_neon(segments, count, k, packed, sums);
#endif
    default: p4q_pack_keys_scalar(segments, count, k, packed, sums);
    }
}

void p4q_pack_values(p4q_isa isa, const p4q_rows *segments, int64_t count, int64_t n, uint8_t *packed, int32_t *sums) {
    switch (isa) {
#if defined(__x86_64__)
    case P4Q_ISA_AVX2:
    case P4Q_ISA_AVX_VNNI: return p4q_pack_values_avx2(segments, count, n, packed, sums);
    case P4Q_ISA_AVX512_VNNI:
    case P4Q_ISA_AMX: return p4q_pack_values_avx512(segments, count, n, packed, sums);
#elif defined(__aarch64__)
    case P4Q_ISA_NEON:
    case P4Q_ISA_NEON_DOT:
    case P4Q_ISA_NEON_I8MM: return p4q_pack_values_neon(segments, count, n, packed, sums);
#endif
    default: p4q_pack_values_scalar(segments, count, n, packed, sums);
    }
}
