internal import CGlibc

/// How this process's allocator behaves.
enum ProcessMemory {
    /// For processes that live long: buffers of a megabyte and more go back to the system when they are freed, and threads share two arenas, so
    /// that resident memory follows use. Without it glibc keeps what the largest images once took, in each thread's own arena.
    static func keepSmall() {
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, 1 << 20)
        mallopt(M_TRIM_THRESHOLD, 4 << 20)
    }
}
