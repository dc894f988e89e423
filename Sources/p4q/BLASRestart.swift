import Glibc
import Tensors

/// OpenBLAS chooses its kernels when it is loaded, before `main`. Where it has chosen worse ones than the processor runs, and nobody has told it
/// otherwise, this starts the program again with `OPENBLAS_CORETYPE` set: same process, same arguments, same open files. Where that can't be
/// done, float products are slower and nothing else changes.
func restartWithBetterBLAS() {
    let variable = "OPENBLAS_CORETYPE"
    guard getenv(variable) == nil, let better = BLAS.betterCoreType else { return }
    var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    guard readlink("/proc/self/exe", &path, Int(PATH_MAX)) > 0 else { return }
    setenv(variable, better, 1)
    execv(path, CommandLine.unsafeArgv)
}
