internal import Foundation
package import Tensors

/// A prompt as the text tower sees it: token ids, and vectors of its own behind the start token where it is a learned one.
package struct EmbeddedPrompt: Sendable {
    /// Start and end token included.
    package let ids: [Int32]
    /// [M, width]; nil where there are token ids only.
    package let context: FloatTensor?

    package init(ids: [Int32], context: FloatTensor? = nil) {
        self.ids = ids
        self.context = context
    }

    /// Positions that it takes.
    package var count: Int { ids.count + contextCount }
    var contextCount: Int { context?.shape[0] ?? 0 }

    /// The position of the token `index`.
    package func position(_ index: Int) -> Int { index == 0 ? 0 : index + contextCount }

    /// The same up to the first occurrence of the highest id: nothing after it is ever read.
    ///
    /// - Precondition: it has a token, and no more positions than `contextLength`.
    package func upToEnd(contextLength: Int) -> EmbeddedPrompt {
        precondition(!ids.isEmpty && count <= contextLength, "a prompt of \(count) tokens for \(contextLength) positions")
        var end = 0
        for index in ids.indices where ids[index] > ids[end] { end = index }
        return EmbeddedPrompt(ids: Array(ids[...end]), context: context)
    }

    /// Writes the context vectors, their positions' added, to their rows of `hidden` [count, width].
    package func embedContext(
        positions: UnsafePointer<Float>, width: Int, _ kernels: FloatKernels, to hidden: UnsafeMutablePointer<Float>
    ) {
        context?.withUnsafeBufferPointer { vectors in
            guard let vectors = vectors.baseAddress, contextCount > 0 else { return }
            (hidden + width).update(from: vectors, count: contextCount * width)
            kernels.addBias(hidden + width, stride: 0, bias: positions + width, rows: 1, width: contextCount * width)
        }
    }

    /// Vectors of a prompt that is yet to be learned: N(0, 0.02^2). Source: the method's section 3.
    package static func initialContext(tokens: Int, width: Int, seed: UInt64) -> FloatTensor {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func uniform() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (Double(state >> 11) + 0.5) * 0x1p-53
        }
        return FloatTensor(shape: [tokens, width]) { values in
            // Box and Muller's transform.
            for index in values.indices { values[index] = Float(0.02 * (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform())) }
        }
    }
}
