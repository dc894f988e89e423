internal import Crypto
package import Foundation
package import Tensors

/// Text features of a class set: every prompt's feature normalised, their mean per class, normalised again.
package struct TextFeatures: Sendable {
    /// Which texts describe a class.
    package enum Wording: Sendable {
        /// Its names in the class set's templates, and its own prompts.
        case templates
        /// Its display name and a full stop alone: a learned prompt brings the rest.
        case displayName
    }

    package let tokenizer: Tokenizer
    package let encoder: any TextEncoder
    /// Equal only where equal class sets have equal features: a hash, hex.
    package let identity: String
    /// The files that the encoder's weights are read from in place.
    package let files: [MappedFile]
    private let wording: Wording
    private let kernels: FloatKernels

    /// - Parameter files: where the encoder's weights lie. Class sets come seldom, and between them nothing of a file stays in memory but what
    ///   others read of it.
    package init(
        tokenizer: Tokenizer, encoder: any TextEncoder, identity: String, wording: Wording = .templates, files: [MappedFile] = [],
        kernels: FloatKernels = FloatKernels()
    ) {
        self.files = files
        self.wording = wording
        self.tokenizer = tokenizer
        self.encoder = encoder
        self.identity = identity
        self.kernels = kernels
    }

    /// SHA-256 over a description of the text tower and the bytes of the tokenizer's files; files that are not there count as empty. Hex.
    package static func identity(_ tower: String, files: [URL]) -> String {
        var hash = SHA256()
        hash.update(data: Data(tower.utf8))
        for file in files { hash.update(data: (try? Data(contentsOf: file)) ?? Data()) }
        return hash.finalize().hexadecimal
    }

    /// [classes, width], each of unit norm.
    ///
    /// - Parameter truncating: cut prompts that are too long for the tower instead of throwing.
    package func compute(for classSet: ClassSet, pool: ThreadPool, truncating: Bool = false) throws(CLIPError) -> FloatTensor {
        var prompts: [[Int32]] = []
        var counts: [Int] = []
        for entry in classSet.classes {
            let texts =
                switch wording {
                case .templates: entry.texts(templates: classSet.templates)
                case .displayName: [entry.name + "."]
                }
            counts.append(texts.count)
            for text in texts {
                prompts.append(try tokenizer.encode(text, contextLength: encoder.contextLength, truncating: truncating))
            }
        }
        let features = encoder.encode(prompts: prompts, pool: pool)
        for file in files { file.releasePages() }
        return ensemble(features, counts)
    }

    private func ensemble(_ features: FloatTensor, _ counts: [Int]) -> FloatTensor {
        let width = encoder.featureWidth
        return FloatTensor(shape: [counts.count, width]) { target in
            guard let target = target.baseAddress else { return }
            var unit = [Float](repeating: 0, count: width)
            features.withUnsafeBufferPointer { features in
                guard var row = features.baseAddress else { return }
                for (index, count) in counts.enumerated() {
                    let mean = target + index * width
                    mean.update(repeating: 0, count: width)
                    for _ in 0..<count {
                        kernels.normalize(row, count: width, output: &unit)
                        kernels.addBias(mean, stride: width, bias: unit, rows: 1, width: width)
                        row += width
                    }
                    kernels.normalize(mean, count: width, output: mean)
                }
            }
        }
    }
}

extension Digest {
    /// Two lowercase digits a byte.
    var hexadecimal: String {
        map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
