// The files of the model that comes with the program, in its own read-only data: an executable that is copied somewhere has them with it.
#ifndef P4Q_BUILTIN_MODEL_H
#define P4Q_BUILTIN_MODEL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *folder;  // "builtin" (float16) or "builtin-8" (8 bits)
    const char *name;
    const uint8_t *bytes;
    size_t count;
} p4q_builtin_file;

// File `index`, from 0; behind the last one, a file without a name.
p4q_builtin_file p4q_builtin_file_at(size_t index);

#endif
