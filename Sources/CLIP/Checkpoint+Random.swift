internal import Tensors

/// The shapes of well-known CLIPs.
package enum KnownShape: String, CaseIterable, Sendable {
    case vitB32 = "vit-b-32"
    case vitB16 = "vit-b-16"
    case vitL14 = "vit-l-14"

    package var configuration: CLIPConfiguration {
        let isLarge = self == .vitL14
        let vision = TowerConfiguration(
            width: isLarge ? 1024 : 768, depth: isLarge ? 24 : 12, heads: isLarge ? 16 : 12, mlpWidth: isLarge ? 4096 : 3072,
            activation: .quickGELU)
        let text = TowerConfiguration(
            width: isLarge ? 768 : 512, depth: 12, heads: isLarge ? 12 : 8, mlpWidth: isLarge ? 3072 : 2048, activation: .quickGELU)
        let patch =
            switch self {
            case .vitB32: 32
            case .vitB16: 16
            case .vitL14: 14
            }
        return CLIPConfiguration(
            vision: vision, imageSide: 224, patchSize: patch, text: text, vocabularySize: 49_408, contextLength: 77,
            projectionWidth: isLarge ? 768 : 512)
    }
}

extension Checkpoint {
    /// Weights made up from a seed, for benchmarks and tests of shapes: matrices uniform with the spread of CLIP's initialisation, LayerNorms
    /// the identity, biases zero, `logit_scale` ln 100.
    ///
    /// - Parameter prefixes: only tensors whose names begin with one of these are made; all where nil.
    package static func random(_ configuration: CLIPConfiguration, name: String, seed: UInt64, prefixes: [String]? = nil) -> Checkpoint {
        var tensors: [String: FloatTensor] = [:]
        for (name, shape) in configuration.tensorShapes where prefixes.map({ $0.contains { name.hasPrefix($0) } }) ?? true {
            tensors[name] = randomTensor(name, shape, seed: seed)
        }
        return Checkpoint(configuration: configuration, name: name, tensors: tensors)
    }

    private static func randomTensor(_ name: String, _ shape: [Int], seed: UInt64) -> FloatTensor {
        FloatTensor(shape: shape) { values in
            if name == "logit_scale" { return values.update(repeating: 4.6052) }
            if shape.count == 1 && name.hasSuffix("bias") { return values.update(repeating: 0) }
            if shape.count == 1 && name.contains("norm") { return values.update(repeating: 1) }
            // Each tensor has a stream of its own, so that the same name gets the same values whatever else is made.
            var state = name.utf8.reduce(seed &* 0x9E37_79B9_7F4A_7C15) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            for index in values.indices {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                values[index] = (Float(state >> 40) * 0x1p-24 - 0.5) * 0.07
            }
        }
    }
}
