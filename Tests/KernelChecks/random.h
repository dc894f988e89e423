// Random numbers of the kernels' checks: xorshift, from a state that each case sets, so that it can be run again.
#ifndef P4Q_CHECK_RANDOM_H
#define P4Q_CHECK_RANDOM_H

#include <stdint.h>

static uint64_t state;

static uint32_t random32(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

#endif
