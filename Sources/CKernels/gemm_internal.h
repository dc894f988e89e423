// What the kernels' files share: their entry points and how a problem is cut into blocks.
#ifndef P4Q_GEMM_INTERNAL_H
#define P4Q_GEMM_INTERNAL_H

#include "gemm_layout.h"

typedef void p4q_gemm_kernel(const p4q_gemm *gemm, void *scratch);

p4q_gemm_kernel p4q_gemm_scalar, p4q_gemm_avx2_wide, p4q_gemm_avx2_narrow, p4q_gemm_avx_vnni, p4q_gemm_avx512_vnni, p4q_gemm_amx,
    p4q_gemm_neon, p4q_gemm_neon_dot, p4q_gemm_neon_i8mm;

typedef int64_t p4q_gemm_peak_loop(int64_t rounds);

int64_t p4q_gemm_peak_avx2_narrow(int64_t steps, int64_t rounds);  // with a widening after each `steps` sums of 16 bits
p4q_gemm_peak_loop p4q_gemm_peak_scalar, p4q_gemm_peak_avx2, p4q_gemm_peak_avx_vnni, p4q_gemm_peak_avx512_vnni, p4q_gemm_peak_amx,
    p4q_gemm_peak_neon, p4q_gemm_peak_neon_dot, p4q_gemm_peak_neon_i8mm;

typedef void p4q_quantize_kernel(const float *x, int64_t stride, int64_t rows, int64_t n, const p4q_epilogue *codes, uint8_t *out,
                                 int64_t out_stride);

p4q_quantize_kernel p4q_quantize_scalar, p4q_quantize_avx2, p4q_quantize_avx512, p4q_quantize_neon;

typedef void p4q_pack_operand(const p4q_rows *segments, int64_t count, int64_t width, uint8_t *packed, int32_t *sums);

p4q_pack_operand p4q_pack_keys_scalar, p4q_pack_keys_avx2, p4q_pack_keys_avx512, p4q_pack_keys_neon, p4q_pack_values_scalar,
    p4q_pack_values_avx2, p4q_pack_values_avx512, p4q_pack_values_neon;

enum { P4Q_MIDDLE = 128 };  // what is taken off an operand's codes

// Row `index` of the segments one after the other.
const uint8_t *p4q_row_at(const p4q_rows *segments, int64_t count, int64_t index);
int64_t p4q_row_count(const p4q_rows *segments, int64_t count);

// The first k codes of channel c.
void p4q_unpack_channel(const uint8_t *packed, int64_t c, int64_t k, int32_t bits, int8_t *codes);

// Quads of u8 codes up to a_top and signed codes of w_bits whose products' pair sums a 16-bit lane takes without saturating, in fours.
static inline int64_t narrow_steps(int32_t a_top, int32_t w_bits) { return (INT16_MAX / (2 * (int64_t)a_top << (w_bits - 1))) & ~3ll; }

// A product is computed in chunks of rows; a chunk's activations are copied to scratch once, in strips of a tile's rows, and stay in the
// second-level cache while the panels pass; the weights of one panel block (all the panel's channels, `block_inputs` inputs) are unpacked to
// scratch and stay in the first level while the strips pass.
enum {
    BLOCK_BYTES = 16384,    // of one panel's unpacked weights: half of a 32 KiB first-level cache
    CHUNK_BYTES = 1 << 18,  // of a chunk's activations for each panel of a tile: half of a 512 KiB second-level cache, or of the 1 MiB and
                            // more that processors with 512-bit products have
    LEAST_CHUNK = 96,       // rows, however long: unpacking must be spread over enough of them
    LARGEST_CHUNK = 512,    // rows, however short: their accumulators take 64 bytes a panel
    BLOCK_PREFIX = 64,      // before a block's unpacked weights: what a kernel knows of each channel of it
    GROUPED_INPUTS = 64,    // a multiple of every packed group and of the inputs that activations are copied by
};

typedef struct {
    int64_t rows;          // of a chunk
    int64_t inputs;        // of a block
    int64_t a, b, acc, terms, bytes;  // offsets into scratch, and its size
} p4q_gemm_blocks;

// The part of the next block that a tile fetches: one line of each panel every `quads` quads.
typedef struct {
    const char *lines;  // of the first panel
    int64_t stride;     // bytes from there to the second panel's
    int64_t quads;      // a power of two, 4 where a tile's height is a constant
} fetching;

// A strip whose sums are complete and not stored yet; gemm_body.inc.
typedef struct waiting waiting;

// Where a tile's sums begin: row r of panel i at sums + i * panel + r * row.
typedef struct {
    const int32_t *sums;
    int64_t panel, row;  // no step from row to row where all begin alike
} beginning;

// Packed weights of a tile's first panel, and bytes from there to the second's.
typedef struct {
    const uint8_t *part;
    int64_t stride;
    int32_t bits;
} packed_weights;

// What else a tile is told.
typedef struct {
    fetching ahead;
    int64_t steps;         // quads that 16-bit sums take, a multiple of 4; 32-bit sums take all
    const int32_t *terms;  // [rows] to be added by tiles that do so; null where a sum is continued, and where all are 0
    waiting *before;       // to be stored while the tile multiplies, by kernels that can do both at a time
} tile_work;

// `element`: bytes of an unpacked code, 1 or 2; `panels`: of a tile.
static inline p4q_gemm_blocks gemm_blocks(int64_t m, int64_t k, int64_t element, int64_t panels) {
    int64_t row = larger(round_up(k, GROUPED_INPUTS), GROUPED_INPUTS);
    int64_t most = smaller(LARGEST_CHUNK, larger(LEAST_CHUNK, CHUNK_BYTES * panels / (row * element)));
    int64_t chunks = larger(1, (m + most - 1) / most);
    int64_t longest = BLOCK_BYTES / (P4Q_PANEL * element), blocks = (row + longest - 1) / longest;
    p4q_gemm_blocks b;
    b.rows = (m + chunks - 1) / chunks;
    b.inputs = round_up((row + blocks - 1) / blocks, GROUPED_INPUTS);
    b.a = 0;
    b.b = b.a + round_up(b.rows * row * element, 64) + BLOCK_PREFIX;
    b.acc = b.b + b.inputs * P4Q_PANEL * element * panels;
    b.terms = b.acc + b.rows * P4Q_PANEL * panels * (int64_t)sizeof(int32_t);
    b.bytes = b.terms + round_up(b.rows * (int64_t)sizeof(int32_t), 64);
    return b;
}

// Scratch for every problem no larger than m and k: a smaller one may be cut into other blocks, none of them larger than these.
static inline int64_t gemm_scratch_bound(int64_t m, int64_t k, int64_t element, int64_t panels) {
    int64_t row = larger(round_up(k, GROUPED_INPUTS), GROUPED_INPUTS) * element, rows = smaller(m, LARGEST_CHUNK);
    int64_t a = larger(smaller(rows, LEAST_CHUNK) * row, smaller(rows * row, CHUNK_BYTES * panels));
    int64_t each = P4Q_PANEL * panels * (int64_t)sizeof(int32_t) + (int64_t)sizeof(int32_t);
    return round_up(a, 64) + BLOCK_PREFIX + BLOCK_BYTES * panels + round_up(rows * each, 64) + 128;
}

#endif
