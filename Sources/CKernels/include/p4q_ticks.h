// The processor's constant-rate counter, for measuring parts of a kernel: a few nanoseconds to read, of unknown rate.
#ifndef P4Q_TICKS_H
#define P4Q_TICKS_H

#include <stdint.h>

static inline int64_t p4q_ticks(void) {
#if defined(__x86_64__)
    return (int64_t)__builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return (int64_t)ticks;
#else
    return 0;
#endif
}

#endif
