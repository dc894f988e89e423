internal import COpenBLAS

/// The door to OpenBLAS: matrix products on the calling thread.
///
/// Work is spread over cores by `ThreadPool`, which knows where images and prompts begin; OpenBLAS's own threads are switched off.
package enum BLAS {
    private static let singleThreaded: Void = openblas_set_num_threads(1)

    /// `c[m, n] = a[m, k] * b[n, k]^T`, or `+=` where `accumulating`. Strides are in elements.
    package static func multiply(
        m: Int, n: Int, k: Int, a: UnsafePointer<Float>, aStride: Int, transposedB b: UnsafePointer<Float>, bStride: Int,
        c: UnsafeMutablePointer<Float>, cStride: Int, accumulating: Bool = false
    ) {
        if m == 0 || n == 0 { return }
        _ = singleThreaded
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(aStride), b, blasint(bStride),
            accumulating ? 1 : 0, c, blasint(cStride))
    }

    /// `c[m, n] = a[m, k] * b[k, n]`, or `+=` where `accumulating`. Strides are in elements.
    package static func multiply(
        m: Int, n: Int, k: Int, a: UnsafePointer<Float>, aStride: Int, b: UnsafePointer<Float>, bStride: Int,
        c: UnsafeMutablePointer<Float>, cStride: Int, accumulating: Bool = false
    ) {
        if m == 0 || n == 0 { return }
        _ = singleThreaded
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(aStride), b, blasint(bStride),
            accumulating ? 1 : 0, c, blasint(cStride))
    }

    /// `c[m, n] = a[k, m]^T * b[k, n]`, or `+=` where `accumulating`: a weight's gradient from k rows. Strides are in elements.
    package static func multiply(
        m: Int, n: Int, k: Int, transposedA a: UnsafePointer<Float>, aStride: Int, b: UnsafePointer<Float>, bStride: Int,
        c: UnsafeMutablePointer<Float>, cStride: Int, accumulating: Bool = false
    ) {
        if m == 0 || n == 0 { return }
        _ = singleThreaded
        cblas_sgemm(
            CblasRowMajor, CblasTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(aStride), b, blasint(bStride),
            accumulating ? 1 : 0, c, blasint(cStride))
    }

    /// `c[m, n] = a[m, k] * b[k, n]` of doubles, all without gaps.
    static func multiply(m: Int, n: Int, k: Int, a: [Double], b: [Double], c: inout [Double]) {
        _ = singleThreaded
        cblas_dgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(k), b, blasint(n), 0, &c,
            blasint(n))
    }

    /// Runs `body` with OpenBLAS's own `threads`, as a benchmark's yardstick. Nothing else may call BLAS meanwhile.
    package static func withOwnThreads<R>(_ threads: Int, _ body: () throws -> R) rethrows -> R {
        _ = singleThreaded
        openblas_set_num_threads(Int32(threads))
        defer { openblas_set_num_threads(1) }
        return try body()
    }

    /// The value of `OPENBLAS_CORETYPE` with which OpenBLAS would use this processor's vectors; nil where it does already. Releases know the
    /// processors of their time: 0.3.21 (Debian 12) takes later ones for a Prescott of 2004, with a quarter of the speed.
    package static var betterCoreType: String? {
        let beforeAVX2: Set = [
            "generic", "prescott", "core2", "penryn", "dunnington", "nehalem", "atom", "nano", "sandybridge", "athlon", "opteron",
            "opteron_sse3", "barcelona", "bobcat", "bulldozer", "piledriver", "steamroller",
        ]
        guard InstructionSet.avx2.isSupported, let name = openblas_get_corename(), beforeAVX2.contains(String(cString: name).lowercased())
        else {
            return nil
        }
        return InstructionSet.avx512VNNI.isSupported ? "SkylakeX" : "Haswell"
    }

    /// OpenBLAS's version, kernel and threading, as it states them.
    package static var description: String { String(cString: openblas_get_config()) }
}
