// Integer matrix products: C[M, N] = A[M, K] x W[N, K]^T with A of u8 codes, W of signed codes of 8, 4, 3 or 2 bits,
// s32 accumulators, and what follows the product fused behind it.
//
// M rows of activations, N output channels, K inputs.
#ifndef P4Q_GEMM_H
#define P4Q_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "p4q_isa.h"

// Packed weights, on disk as in memory. The same bytes for every instruction set.
//
// Channels come in panels of 16 (N is padded with zero codes), a panel's inputs in quads of 4 (K is padded with zero codes to a
// multiple of P4Q_GROUP_INPUTS). A quad of 8-bit codes is 64 bytes, one vpdpbusd operand of 512 bits, two of 256, four of NEON's 128:
//
//     byte 4 c + i  =  code of channel c (0..15), input 4 q + i
//
//     panel 0                                   panel 1
//     [quad 0: 64 codes][quad 1: 64 codes]...   [quad 0][quad 1]...
//
// Narrower codes are stored plus 2^(bits-1), so that they are unsigned fields, and as many quads share 64 bytes as fit. Byte b of a
// quad's 64 codes is a field of byte b of the stored group, so that one shift and one mask yield 64 codes in order:
//
//     8 bits   64 bytes,  1 quad    the codes themselves, two's complement
//     4 bits   64 bytes,  2 quads   bits 0-3 quad 0, bits 4-7 quad 1
//     2 bits   64 bytes,  4 quads   bits 2 j and 2 j + 1: quad j
//     3 bits  192 bytes,  8 quads   bytes 0..63: low two bits of quads 0-3, as for 2 bits; bytes 64..127: of quads 4-7;
//                                   bytes 128..191: bit j is the high bit of quad j
enum {
    P4Q_PANEL = 16,        // channels of a panel
    P4Q_QUAD = 4,          // inputs of a quad
    P4Q_QUAD_BYTES = 64,   // a panel's codes of one quad, unpacked
    P4Q_LARGEST_K = 65536  // 255 * 128 * K stays inside s32
};

// Inputs that K is padded to a multiple of: 4, 8, 32, 16 for 8, 4, 3, 2 bits; 0 for any other number of bits.
int64_t p4q_packed_group_inputs(int32_t bits);
// Bytes of the packed form of [n, k]; -1 if the shape is negative, k above P4Q_LARGEST_K, the bits unknown or the size beyond 2^48.
int64_t p4q_packed_bytes(int64_t n, int64_t k, int32_t bits);
// codes [n, k] row-major, each inside its width's range, to `packed` (p4q_packed_bytes).
void p4q_pack_codes(const int8_t *codes, int64_t n, int64_t k, int32_t bits, uint8_t *packed);
// The inverse of p4q_pack_codes.
void p4q_unpack_codes(const uint8_t *packed, int64_t n, int64_t k, int32_t bits, int8_t *codes);
// sums[n] = sum over k of the channel's codes.
void p4q_packed_sums(const uint8_t *packed, int64_t n, int64_t k, int32_t bits, int32_t *sums);

// What is done with an accumulator. acc is the sum over k of (a[m, k] - a_zero) * (w[n, k] - w_zero), exact in s32.
//
//     y    = fma((float)acc, scale[n], bias[n])
//     code = rint(min(max(fma(v, inverse_scale, zero_point), 0), top)), half to even
//
// max(v, 0) is v > 0 ? v : 0, so NaN becomes code 0; min(v, top) is v < top ? v : top.
typedef enum {
    P4Q_STORE_SUMS = 0,             // int32: acc
    P4Q_STORE_FLOATS = 1,           // float: y
    P4Q_ADD_FLOATS = 2,             // float: out + y
    P4Q_STORE_CODES = 3,            // uint8: code of v = y
    P4Q_STORE_QUICK_GELU_CODES = 4, // uint8: code of v = QuickGELU(y)
    P4Q_STORE_GELU_CODES = 5,       // uint8: code of v = GELU(y)
} p4q_store;

typedef struct {
    p4q_store store;
    const float *scale;      // [N]; NULL: `common_scale` for every channel
    const float *bias;       // [N]; NULL: +0 for every channel
    float common_scale;
    float inverse_scale;     // of the codes stored
    float zero_point;
    float top;               // largest code stored, at most 255
    void *out;               // [M, N] of the store's type
    int64_t out_stride;      // elements from row to row
    int64_t out_visible;     // causal scores: row m stores columns 0..<out_visible + m only; negative: all of them
} p4q_epilogue;

typedef struct {
    int64_t m, n, k;
    const uint8_t *a;        // [M, K] codes, none above a_top
    int64_t a_stride;        // bytes from row to row
    int64_t a_visible;       // causal probabilities: row m has columns 0..<a_visible + m, others count as a_zero; negative: all
    int32_t a_zero;          // 0..255
    int32_t a_top;           // 1..255; a kernel may rely on it to rule out saturation
    const uint8_t *w;        // packed [N, K]
    int32_t w_bits;          // 8, 4, 3 or 2
    int32_t w_zero;          // 0 for weights; -128..127 for an operand quantized at run time
    const int32_t *w_sums;   // [N]
    int64_t first_panel;     // only panels first_panel..<end_panel are computed, so that threads can share a product
    int64_t end_panel;
    p4q_epilogue epilogue;
    int64_t *epilogue_ticks; // NULL, or the time that epilogues take is added here (p4q_ticks.h); AMX computes them beside the products, and adds none
} p4q_gemm;

// Bytes of scratch that p4q_gemm_run needs for every problem of at most these m and k, whatever its n and bits.
int64_t p4q_gemm_scratch_bytes(p4q_isa isa, int64_t m, int64_t k);
// Computes the product. `scratch` is aligned to 64 bytes and belongs to this call alone. Every instruction set gives the scalar twin's bits.
void p4q_gemm_run(p4q_isa isa, const p4q_gemm *gemm, void *scratch);

// out[r, i] = code of x[r, i], as an epilogue makes it: rint(min(max(fma(x, inverse_scale, zero_point), 0), top)).
void p4q_quantize_rows(p4q_isa isa, const float *x, int64_t stride, int64_t rows, int64_t n, float inverse_scale, float zero_point, float top,
                       uint8_t *out, int64_t out_stride);

// Rows of u8 codes that lie apart, one segment after the other: the states of a shared prefix and a prompt's own.
typedef struct {
    const uint8_t *codes;
    int64_t stride;  // bytes from row to row
    int64_t rows;
} p4q_rows;

// Attention's operands, quantized at run time: u8 codes minus 128 in the 8-bit layout, so their zero point is w_zero = zero point - 128.
// Keys [rows, k] become an operand whose channels are the rows (p4q_packed_bytes(rows, k, 8)); sums [rows].
void p4q_pack_keys(p4q_isa isa, const p4q_rows *segments, int64_t count, int64_t k, uint8_t *packed, int32_t *sums);
// Values [rows, n] become an operand of n channels whose inputs are the rows (p4q_packed_bytes(n, rows, 8)); sums [n].
void p4q_pack_values(p4q_isa isa, const p4q_rows *segments, int64_t count, int64_t n, uint8_t *packed, int32_t *sums);

// Runs the integer dot product that p4q_gemm_run uses for codes up to a_top and weights of w_bits on registers alone, `rounds` times; the
// number of operations (a multiplication and an addition are two) that were done. Timed, it is the limit that p4q_gemm_run is measured against.
int64_t p4q_gemm_peak(p4q_isa isa, int32_t a_top, int32_t w_bits, int64_t rounds);

#endif
