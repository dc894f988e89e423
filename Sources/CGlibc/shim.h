/* What Swift's Glibc module leaves out. */
#include <malloc.h>

/* renameat2(2), which glibc declares only under _GNU_SOURCE. */
extern int renameat2(int old_folder, const char *old_path, int new_folder, const char *new_path, unsigned int flags);

enum { P4Q_RENAME_EXCHANGE = 1 << 1 };
