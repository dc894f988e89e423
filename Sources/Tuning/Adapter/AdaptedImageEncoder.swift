package import CLIP
internal import Quantization
package import Tensors

/// An image tower with a QAdapter behind it.
package struct AdaptedImageEncoder: ImageEncoder {
    private let base: any ImageEncoder
    private let adapter: QuantizedAdapter
    private let gemm: IntegerGEMM
    private let workspaces = WorkspaceCache()

    package var imageSide: Int { base.imageSide }
    package var featureWidth: Int { base.featureWidth }

    /// - Precondition: the adapter is for features of this width.
    package init(_ base: any ImageEncoder, _ adapter: QuantizedAdapter, instructionSet: InstructionSet = .best) {
        precondition(adapter.width == base.featureWidth, "an adapter for \(adapter.width) behind features of \(base.featureWidth)")
        self.base = base
        self.adapter = adapter
        gemm = IntegerGEMM(instructionSet)
    }

    package func encode(
        crops: UnsafeBufferPointer<UInt8>, count: Int, features: UnsafeMutableBufferPointer<Float>, pool: ThreadPool
    ) {
        base.encode(crops: crops, count: count, features: features, pool: pool)
        workspaces.withWorkspace { adapter.apply(to: features, count: count, gemm: gemm, workspace: $0) }
    }
}
