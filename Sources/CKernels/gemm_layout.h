// Sizes of packed weights and of the blocks that kernels work in; see p4q_gemm.h for the drawing.
#ifndef P4Q_GEMM_LAYOUT_H
#define P4Q_GEMM_LAYOUT_H

#include <assert.h>
#include <string.h>

#include "p4q_gemm.h"

static_assert(P4Q_PANEL * P4Q_QUAD == P4Q_QUAD_BYTES, "a quad of codes is one 512-bit operand");
static_assert(2 * P4Q_QUAD_BYTES * 8 == P4Q_PANEL * 2 * P4Q_QUAD * 8, "4 bits: 64 bytes hold two quads");
static_assert(P4Q_QUAD_BYTES * 8 == P4Q_PANEL * 4 * P4Q_QUAD * 2, "2 bits: 64 bytes hold four quads, nothing wasted");
static_assert(3 * P4Q_QUAD_BYTES * 8 == P4Q_PANEL * 8 * P4Q_QUAD * 3, "3 bits: 192 bytes hold eight quads, nothing wasted");
static_assert(255ll * 128 * P4Q_LARGEST_K <= INT32_MAX, "no product of u8 and s8 codes leaves s32");

static inline int64_t round_up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }
static inline int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }
static inline int64_t larger(int64_t x, int64_t y) { return x > y ? x : y; }

// Inputs after padding.
static inline int64_t padded_inputs(int64_t k, int32_t bits) { return round_up(k, p4q_packed_group_inputs(bits)); }
// Bytes of a panel's first `inputs` inputs, a multiple of the group.
static inline int64_t panel_bytes(int64_t inputs, int32_t bits) { return inputs * P4Q_PANEL * bits / 8; }

#endif
