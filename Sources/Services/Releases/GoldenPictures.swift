internal import CLIP
internal import Crypto
internal import Messages
internal import Tensors

/// Pictures that every program has, and what a release must give for them: a worker that computes something else than the maker did
/// notices before it answers anybody.
enum GoldenPictures {
    static let count = 3

    /// [count, side, side, 3] 8-bit RGB: slopes, coarse squares, noise.
    static func crops(side: Int) -> [UInt8] {
        var crops = [UInt8](repeating: 0, count: count * side * side * 3)
        for row in 0..<side {
            for column in 0..<side {
                let noise = (UInt32(truncatingIfNeeded: row &* 73_856_093 ^ column &* 19_349_663)) &* 2_654_435_761
                let isDark = (row / 8 + column / 8) % 2 == 0
                let slope = [row * 255 / side, column * 255 / side, (row + column) * 127 / side]
                let squares = isDark ? [30, 60, 200] : [240, 220, 20]
                for channel in 0..<3 {
                    let place = (row * side + column) * 3 + channel
                    crops[place] = UInt8(slope[channel])
                    crops[place + side * side * 3] = UInt8(squares[channel])
                    crops[place + 2 * side * side * 3] = UInt8(truncatingIfNeeded: noise >> (8 + 8 * UInt32(channel)))
                }
            }
        }
        return crops
    }

    /// The answers for them.
    static func scores(_ model: CLIPModel, _ classifier: LiveClassifier, pool: ThreadPool) -> [GoldenScore] {
        let encoder = model.imageEncoder
        let (side, width) = (encoder.imageSide, encoder.featureWidth)
        var features = [Float](repeating: 0, count: count * width)
        crops(side: side).withUnsafeBufferPointer { crops in
            features.withUnsafeMutableBufferPointer { encoder.encode(crops: crops, count: count, features: $0, pool: pool) }
        }
        return (0..<count).compactMap { input in
            var feature = Array(features[input * width..<(input + 1) * width])
            feature.withUnsafeMutableBufferPointer { classifier.adapt($0, count: 1, workspace: Workspace()) }
            let classes = classifier.classifier.classSet.classes.count
            let answer = feature.withUnsafeBufferPointer { classifier.classifier.classify($0, topK: classes) }
            guard let best = answer.predictions.first else { return nil }
            return GoldenScore(input: input, best: best.index, probability: best.probability, scoresSHA256: digest(answer))
        }
    }

    private static func digest(_ answer: Classification) -> Messages.Digest {
        var hash = SHA256()
        for prediction in answer.predictions {
            for bits in [UInt32(prediction.index), prediction.probability.bitPattern, prediction.cosine.bitPattern] {
                withUnsafeBytes(of: bits.littleEndian) { hash.update(bufferPointer: $0) }
            }
        }
        guard let digest = Messages.Digest(bytes: Array(hash.finalize())) else { preconditionFailure("SHA-256 has 32 bytes") }
        return digest
    }
}
