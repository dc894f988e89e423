// A hint to the processor that the caller spins.
#ifndef P4Q_PAUSE_H
#define P4Q_PAUSE_H

static inline void p4q_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
