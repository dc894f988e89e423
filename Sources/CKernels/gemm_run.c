// Which kernel computes a product.
#include "gemm_internal.h"

// Below this many quads between two widenings vpmaddubsw gains nothing over 16-bit products.
enum { LEAST_NARROW_STEPS = 4 };

// Below this many inputs AMX's tiles take longer to be set up than to multiply: attention's products.
enum { LEAST_TILE_INPUTS = 128 };

void p4q_gemm_run(p4q_isa isa, const p4q_gemm *gemm, void *scratch) {
    switch (isa) {
#if defined(__x86_64__)
    case P4Q_ISA_AVX2:
        if (narrow_steps(gemm->a_top, gemm->w_bits) >= LEAST_NARROW_STEPS) return p4q_gemm_avx2_narrow(gemm, scratch);
        return p4q_gemm_avx2_wide(gemm, scratch);
    case P4Q_ISA_AVX_VNNI: return p4q_gemm_avx_vnni(gemm, scratch);
    case P4Q_ISA_AVX512_VNNI: return p4q_gemm_avx512_vnni(gemm, scratch);
    case P4Q_ISA_AMX: return gemm->k < LEAST_TILE_INPUTS ? p4q_gemm_avx512_vnni(gemm, scratch) : p4q_gemm_amx(gemm, scratch);
#elif defined(__aarch64__)
    case P4Q_ISA_NEON: return p4q_gemm_neon(gemm, scratch);
    case P4Q_ISA_NEON_DOT: return p4q_gemm_neon_dot(gemm, scratch);
    case P4Q_ISA_NEON_I8MM: return p4q_gemm_neon_i8mm(gemm, scratch);
#endif
    default: p4q_gemm_scalar(gemm, scratch);
    }
}

int64_t p4q_gemm_scratch_bytes(p4q_isa isa, int64_t m, int64_t k) {
    // A smaller problem may be cut into other blocks, each no larger than the largest: the bound holds for all of them.
    int64_t element = isa == P4Q_ISA_AVX2 || isa == P4Q_ISA_NEON ? 2 : 1, panels = isa == P4Q_ISA_AVX512_VNNI || isa == P4Q_ISA_AMX ? 2 : 1;
    return larger(gemm_scratch_bound(m, k, element, panels), round_up(k, 64));
}

int64_t p4q_gemm_peak(p4q_isa isa, int32_t a_top, int32_t w_bits, int64_t rounds) {
    (void)a_top, (void)w_bits;
    switch (isa) {
#if defined(__x86_64__)
    case P4Q_ISA_AVX2:
        if (narrow_steps(a_top, w_bits) >= LEAST_NARROW_STEPS) return p4q_gemm_peak_avx2_narrow(narrow_steps(a_top, w_bits), rounds);
        return p4q_gemm_peak_avx2(rounds);
    case P4Q_ISA_AVX_VNNI: return p4q_gemm_peak_avx_vnni(rounds);
    case P4Q_ISA_AVX512_VNNI: return p4q_gemm_peak_avx512_vnni(rounds);
    case P4Q_ISA_AMX: return p4q_gemm_peak_amx(rounds);
#elif defined(__aarch64__)
    case P4Q_ISA_NEON: return p4q_gemm_peak_neon(rounds);
    case P4Q_ISA_NEON_DOT: return p4q_gemm_peak_neon_dot(rounds);
    case P4Q_ISA_NEON_I8MM: return p4q_gemm_peak_neon_i8mm(rounds);
#endif
    default: return p4q_gemm_peak_scalar(rounds);
    }
}

void p4q_quantize_rows(p4q_isa isa, const float *x, int64_t stride, int64_t rows, int64_t n, float inverse_scale, float zero_point, float top,
                       uint8_t *out, int64_t out_stride) {
    p4q_epilogue codes = {.inverse_scale = inverse_scale, .zero_point = zero_point, .top = top};
    switch (isa) {
#if defined(__x86_64__)
    case P4Q_ISA_AVX2:
    case P4Q_ISA_AVX_VNNI: return p4q_quantize_avx2(x, stride, rows, n, &codes, out, out_stride);
    case P4Q_ISA_AVX512_VNNI:
    case P4Q_ISA_AMX: return p4q_quantize_avx512(x, stride, rows, n, &codes, out, out_stride);
#elif defined(__aarch64__)
    case P4Q_ISA_NEON:
    case P4Q_ISA_NEON_DOT:
    case P4Q_ISA_NEON_I8MM: return p4q_quantize_neon(x, stride, rows, n, &codes, out, out_stride);
#endif
    default: p4q_quantize_scalar(x, stride, rows, n, &codes, out, out_stride);
    }
}
