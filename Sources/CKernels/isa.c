#define _GNU_SOURCE  // syscall
#include "p4q_isa.h"

#if defined(__x86_64__)
#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

static bool tiles_granted(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };  // asm/prctl.h, Documentation/arch/x86/xstate.rst
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#else
static bool tiles_granted(void) { return false; }
#endif

static uint64_t saved_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

bool p4q_isa_supported(p4q_isa isa) {
    if (isa == P4Q_ISA_SCALAR) return true;
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    const uint32_t fma_osxsave_avx = 1u << 12 | 1u << 27 | 1u << 28;
    if ((c & fma_osxsave_avx) != fma_osxsave_avx) return false;
    uint64_t state = saved_state();
    if ((state & 0x6) != 0x6) return false;  // XMM and YMM
    uint32_t a7, b7, c7, d7;
    if (!__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7)) return false;
    if (!(b7 & 1u << 5)) return false;  // AVX2
    if (isa == P4Q_ISA_AVX2) return true;
    if (isa == P4Q_ISA_AVX_VNNI) {
        uint32_t a71, b71, c71, d71;
        return __get_cpuid_count(7, 1, &a71, &b71, &c71, &d71) && (a71 & 1u << 4);
    }
    const uint32_t f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    bool avx512_vnni = (state & 0xe6) == 0xe6 && (b7 & f_dq_bw_vl) == f_dq_bw_vl && (c7 & 1u << 11);
    if (isa == P4Q_ISA_AVX512_VNNI) return avx512_vnni;
    if (isa == P4Q_ISA_AMX) {
        const uint32_t tile_int8 = 1u << 24 | 1u << 25, tile_state = 0x60000;
        return avx512_vnni && (d7 & tile_int8) == tile_int8 && (state & tile_state) == tile_state && tiles_granted();
    }
    return false;
}

#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>

bool p4q_isa_supported(p4q_isa isa) {
    const unsigned long asimddp = 1ul << 20;  // HWCAP_ASIMDDP
    const unsigned long i8mm = 1ul << 13;     // HWCAP2_I8MM
    switch (isa) {
    case P4Q_ISA_SCALAR:
    case P4Q_ISA_NEON: return true;
    case P4Q_ISA_NEON_DOT: return getauxval(AT_HWCAP) & asimddp;
    case P4Q_ISA_NEON_I8MM: return (getauxval(AT_HWCAP) & asimddp) && (getauxval(AT_HWCAP2) & i8mm);
    default: return false;
    }
}
#else
bool p4q_isa_supported(p4q_isa isa) { return isa == P4Q_ISA_SCALAR || isa == P4Q_ISA_NEON; }
#endif

#else
bool p4q_isa_supported(p4q_isa isa) { return isa == P4Q_ISA_SCALAR; }
#endif
