#include <cblas.h>

// LAPACK's routines that OpenBLAS brings along (lapack.h belongs to another package); column-major, `info` is 0 where all went well.
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dpotri_(const char *uplo, const int *n, double *a, const int *lda, int *info);
