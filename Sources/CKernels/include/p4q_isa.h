// The instruction sets that kernels exist for, and whether this machine has them.
#ifndef P4Q_ISA_H
#define P4Q_ISA_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    P4Q_ISA_SCALAR = 0,       // the definition: plain C, any machine
    P4Q_ISA_AVX2 = 1,         // AVX2 and FMA
    P4Q_ISA_AVX_VNNI = 2,     // AVX2, FMA and vpdpbusd on 256 bits
    P4Q_ISA_AVX512_VNNI = 3,  // AVX-512 F, BW, DQ, VL and VNNI
    P4Q_ISA_AMX = 4,          // the same and AMX's tiles of bytes
    P4Q_ISA_NEON = 5,         // AArch64 Advanced SIMD
    P4Q_ISA_NEON_DOT = 6,     // with the dot product extension
    P4Q_ISA_NEON_I8MM = 7,    // with the 8-bit matrix multiply extension
} p4q_isa;

// True if the processor and the operating system (saved register state) support every instruction the set's kernels use. Linux gives AMX's
// tiles to processes that ask for them: this asks, and it is refused where a thread's alternate signal stack has no room for them.
bool p4q_isa_supported(p4q_isa isa);

#endif
