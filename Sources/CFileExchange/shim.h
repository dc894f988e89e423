/* renameat2(2), which glibc declares only under _GNU_SOURCE; Swift's Glibc module is built without it. */
extern int renameat2(int old_folder, const char *old_path, int new_folder, const char *new_path, unsigned int flags);

enum { P4Q_RENAME_EXCHANGE = 1 << 1 };
