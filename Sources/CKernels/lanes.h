// Names of what files that are included once for each number of lanes define: LANES is that number, and every name ends in it.
#ifndef P4Q_LANES_H
#define P4Q_LANES_H

#define JOIN_NAME(NAME, N) NAME##N
#define JOIN_LANES(NAME, N) JOIN_NAME(NAME, N)
#define OF_LANES(NAME) JOIN_LANES(NAME, LANES)

#define floats OF_LANES(f32x)
#define ints OF_LANES(s32x)
#define bytes OF_LANES(u8x)
#define all OF_LANES(all)      // one number in every lane
#define fused OF_LANES(fused)  // a * b + c, rounded once
#define bits_of OF_LANES(bits_of)
#define floats_of OF_LANES(floats_of)

#endif
