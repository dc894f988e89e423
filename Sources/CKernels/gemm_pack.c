// The packed form of weights: sizes, packing, unpacking, sums. Not on the hot path: plain C.
#include "gemm_internal.h"
#include "gemm_unpack.inc"

int64_t p4q_packed_group_inputs(int32_t bits) {
    switch (bits) {
    case 8: return 4;
    case 4: return 8;
    case 3: return 32;
    case 2: return 16;
    default: return 0;
    }
}

int64_t p4q_packed_bytes(int64_t n, int64_t k, int32_t bits) {
    const int64_t most = (int64_t)1 << 48;
    if (p4q_packed_group_inputs(bits) == 0 || n < 0 || k < 0 || k > P4Q_LARGEST_K || n > most) return -1;
    int64_t channels = round_up(n, P4Q_PANEL), row = padded_inputs(k, bits) * bits;
    if (row > 0 && channels > most / row * 8) return -1;
    return channels * row / 8;
}

// One 64-byte group member: byte `byte` of quad `quad` counted from the start of a panel.
static uint32_t read_field(const uint8_t *panel, int64_t quad, int64_t byte, int32_t bits) {
    switch (bits) {
    case 4: return panel[quad / 2 * 64 + byte] >> quad % 2 * 4 & 15;
    case 2: return panel[quad / 4 * 64 + byte] >> quad % 4 * 2 & 3;
    case 3: {
        const uint8_t *group = panel + quad / 8 * 192;
        uint32_t low = group[quad % 8 / 4 * 64 + byte] >> quad % 4 * 2 & 3;
        return low | (group[128 + byte] >> quad % 8 & 1u) << 2;
    }
    default: return panel[quad * 64 + byte];
    }
}

static void write_field(uint8_t *panel, int64_t quad, int64_t byte, int32_t bits, uint32_t field) {
    switch (bits) {
    case 4: panel[quad / 2 * 64 + byte] |= (uint8_t)(field << quad % 2 * 4); break;
    case 2: panel[quad / 4 * 64 + byte] |= (uint8_t)(field << quad % 4 * 2); break;
    case 3: {
        uint8_t *group = panel + quad / 8 * 192;
        group[quad % 8 / 4 * 64 + byte] |= (uint8_t)((field & 3) << quad % 4 * 2);
        group[128 + byte] |= (uint8_t)((field >> 2) << quad % 8);
        break;
    }
    default: panel[quad * 64 + byte] = (uint8_t)field;
    }
}

static int32_t field_offset(int32_t bits) { return bits == 8 ? 0 : 1 << (bits - 1); }

void p4q_pack_codes(const int8_t *codes, int64_t n, int64_t k, int32_t bits, uint8_t *packed) {
    int64_t inputs = padded_inputs(k, bits), bytes = panel_bytes(inputs, bits);
    memset(packed, 0, (size_t)p4q_packed_bytes(n, k, bits));
    for (int64_t c = 0; c < round_up(n, P4Q_PANEL); c++) {
        uint8_t *panel = packed + c / P4Q_PANEL * bytes;
        for (int64_t i = 0; i < inputs; i++) {
            int32_t code = c < n && i < k ? codes[c * k + i] : 0;
            uint32_t field = (uint32_t)(code + field_offset(bits)) & (uint32_t)((1 << bits) - 1);
            write_field(panel, i / P4Q_QUAD, c % P4Q_PANEL * P4Q_QUAD + i % P4Q_QUAD, bits, field);
        }
    }
}

void p4q_unpack_channel(const uint8_t *packed, int64_t c, int64_t k, int32_t bits, int8_t *codes) {
    const uint8_t *panel = packed + c / P4Q_PANEL * panel_bytes(padded_inputs(k, bits), bits);
    for (int64_t i = 0; i < k; i++) {
        uint32_t field = read_field(panel, i / P4Q_QUAD, c % P4Q_PANEL * P4Q_QUAD + i % P4Q_QUAD, bits);
        codes[i] = (int8_t)(bits == 8 ? field : field - (uint32_t)field_offset(bits));
    }
}

void p4q_unpack_codes(const uint8_t *packed, int64_t n, int64_t k, int32_t bits, int8_t *codes) {
    for (int64_t c = 0; c < n; c++) p4q_unpack_channel(packed, c, k, bits, codes + c * k);
}

typedef int16_t s16x64 __attribute__((ext_vector_type(64)));

// Adds the codes of `quads` quads, at most 255, to the panel's sums; 16 bits hold 255 codes of -128.
static void add_quads(const uint8_t *panel, int64_t first, int64_t quads, int32_t bits, int32_t sums[P4Q_PANEL]) {
    int8_t codes[8 * P4Q_QUAD_BYTES];
    int64_t step = p4q_packed_group_inputs(bits) / P4Q_QUAD;
    s16x64 lanes = 0;
    for (int64_t q = 0; q < quads; q += step) {
        unpack_group(bits, panel + panel_bytes((first + q) * P4Q_QUAD, bits), codes);
        for (int64_t j = 0; j < step; j++) {
            s8x64 quad;
            memcpy(&quad, codes + j * P4Q_QUAD_BYTES, sizeof quad);
            lanes += __builtin_convertvector(quad, s16x64);
        }
    }
    for (int i = 0; i < P4Q_QUAD_BYTES; i++) sums[i / P4Q_QUAD] += lanes[i];
}

void p4q_packed_sums(const uint8_t *packed, int64_t n, int64_t k, int32_t bits, int32_t *sums) {
    enum { MOST_QUADS = 248 };  // a multiple of every group, below 256
    int64_t inputs = padded_inputs(k, bits), quads = inputs / P4Q_QUAD, bytes = panel_bytes(inputs, bits);
    for (int64_t c = 0; c < n; c += P4Q_PANEL) {
        int32_t panel_sums[P4Q_PANEL] = {0};
        for (int64_t q = 0; q < quads; q += MOST_QUADS)
            add_quads(packed + c / P4Q_PANEL * bytes, q, smaller(MOST_QUADS, quads - q), bits, panel_sums);
        memcpy(sums + c, panel_sums, (size_t)smaller(P4Q_PANEL, n - c) * sizeof *sums);
    }
}
