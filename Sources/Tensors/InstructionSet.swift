package import CKernels

/// The instruction sets that kernels exist for. Every one gives the scalar twin's bits; they differ in speed only.
package enum InstructionSet: String, CaseIterable, Sendable {
    case scalar
    case avx2
    case avxVNNI = "avx-vnni"
    case avx512VNNI = "avx512-vnni"
    case amx = "amx-int8"
    case neon
    case neonDot = "neon-dot"
    case neonI8MM = "neon-i8mm"

    /// The value that the C kernel tables are chosen by.
    package var code: p4q_isa {
        switch self {
        case .scalar: P4Q_ISA_SCALAR
        case .avx2: P4Q_ISA_AVX2
        case .avxVNNI: P4Q_ISA_AVX_VNNI
        case .avx512VNNI: P4Q_ISA_AVX512_VNNI
        case .amx: P4Q_ISA_AMX
        case .neon: P4Q_ISA_NEON
        case .neonDot: P4Q_ISA_NEON_DOT
        case .neonI8MM: P4Q_ISA_NEON_I8MM
        }
    }

    /// Whether this machine's processor and operating system can run it.
    package var isSupported: Bool { p4q_isa_supported(code) }

    /// Those this machine can run, slowest first.
    package static var supported: [InstructionSet] { allCases.filter(\.isSupported) }

    /// The fastest this machine can run.
    package static let best: InstructionSet = supported.last ?? .scalar
}
