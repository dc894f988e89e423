#include "p4q_float.h"

extern const p4q_float_kernels p4q_float_scalar;
#if defined(__x86_64__)
extern const p4q_float_kernels p4q_float_avx2, p4q_float_avx512;
#elif defined(__aarch64__)
extern const p4q_float_kernels p4q_float_neon;
#endif

const p4q_float_kernels *p4q_float_kernels_for(p4q_isa isa) {
    switch (isa) {
#if defined(__x86_64__)
    case P4Q_ISA_AVX2:
    case P4Q_ISA_AVX_VNNI: return &p4q_float_avx2;
    case P4Q_ISA_AVX512_VNNI:
    case P4Q_ISA_AMX: return &p4q_float_avx512;
#elif defined(__aarch64__)
    case P4Q_ISA_NEON:
    case P4Q_ISA_NEON_DOT:
    case P4Q_ISA_NEON_I8MM: return &p4q_float_neon;
#endif
    default: return &p4q_float_scalar;
    }
}
