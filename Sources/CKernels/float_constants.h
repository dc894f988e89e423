// The polynomials of the float kernels, shared by the scalar definition and the vector bodies.
#ifndef P4Q_FLOAT_CONSTANTS_H
#define P4Q_FLOAT_CONSTANTS_H

// A float in +-2^21 plus this lies where floats are whole numbers: the sum is rounded half to even, and its low bits are the whole number's.
#define P4Q_WHOLE 12582912.0f  // 1.5 * 2^23
// The same for an exponent: the sum's low bits are the exponent plus the 127 that a float's is stored with, rounded half to even as that sum.
#define P4Q_BIASED_WHOLE (P4Q_WHOLE + 127)

// exp(x) = 2^n exp(r), n = x log2 e rounded, r = x - n ln 2 (ln 2 in two parts, the first exact in the product with n),
// exp(r) = 1 + r + r^2 P(r) on |r| <= ln(2) / 2, P of degree 5 (minimax, Cephes' expf).
#define P4Q_EXP_LOW -87.33654f   // 2^-126
#define P4Q_EXP_HIGH 88.02969f   // 2^127
#define P4Q_LOG2_E 1.44269504088896341f
#define P4Q_LN2_HIGH 0.693359375f
#define P4Q_LN2_LOW -2.12194440e-4f
#define P4Q_EXP_P0 1.9875691500e-4f
#define P4Q_EXP_P1 1.3981999507e-3f
#define P4Q_EXP_P2 8.3334519073e-3f
#define P4Q_EXP_P3 4.1665795894e-2f
#define P4Q_EXP_P4 1.6666665459e-1f
#define P4Q_EXP_P5 5.0000001201e-1f

#define P4Q_QUICK_GELU 1.702f

// QuickGELU(v) = v / d with d = 1 + 2^t, t = -1.702 log2(e) v: 2^t = 2^n P(r), n = t rounded, r = t - n, P of degree 5 (minimax of the relative
// error, 7.5e-8). The quotient comes from the bits of d: a constant less them are those of a reciprocal to 5.1 %, and a step of order three and
// one of order two leave 1.7e-8. A division takes a vector processor longer than all of this.
#define P4Q_SIGMOID_LOG2 -2.4554669595931356f  // -1.702 log2(e)
#define P4Q_EXP2_LOW -126.0f
#define P4Q_EXP2_HIGH 125.0f  // where the reciprocal is still a normal number
#define P4Q_EXP2_P0 1.32764719e-3f
#define P4Q_EXP2_P1 9.67554e-3f
#define P4Q_EXP2_P2 5.55071e-2f
#define P4Q_EXP2_P3 2.402212e-1f
#define P4Q_EXP2_P4 6.9314697e-1f
#define P4Q_EXP2_P5 1.00000007f
#define P4Q_RECIPROCAL_BITS 0x7ef311c4

// erf(x) = 1 - t (a1 + t (a2 + t (a3 + t (a4 + t a5)))) exp(-x^2), t = 1 / (1 + p x), x >= 0: Abramowitz and Stegun 7.1.26, |error| <= 1.5e-7.
#define P4Q_ERF_P 0.3275911f
#define P4Q_ERF_A1 0.254829592f
#define P4Q_ERF_A2 -0.284496736f
#define P4Q_ERF_A3 1.421413741f
#define P4Q_ERF_A4 -1.453152027f
#define P4Q_ERF_A5 1.061405429f
#define P4Q_SQRT_HALF 0.70710678118654752f
#define P4Q_NORMAL_PEAK 0.39894228040143268f  // 1 / sqrt(2 pi)

// Elements whose squared errors are added in float before they go into the double total.
#define P4Q_ERROR_BLOCK 1024

#endif
