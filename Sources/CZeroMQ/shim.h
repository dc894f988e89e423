#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <zmq.h>

/// Names the calling thread in the system's lists; at most 15 bytes are kept. (prctl is variadic, which Swift can't call.)
static inline void p4q_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
