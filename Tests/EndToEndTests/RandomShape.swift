import CLIP
import Testing

/// The sizes of a well-known CLIP, with a vocabulary of bytes.
struct RandomShape: Sendable, CustomTestStringConvertible {
    let name: String
    let width: Int
    let depth: Int
    let patch: Int

    var testDescription: String { name }

    var configuration: CLIPConfiguration {
        CLIPConfiguration(
            vision: TowerConfiguration(width: width, depth: depth, heads: width / 64, mlpWidth: 4 * width, activation: .quickGELU),
            imageSide: 224, patchSize: patch,
            text: TowerConfiguration(
                width: width * 3 / 4 / 64 * 64, depth: 12, heads: width * 3 / 4 / 64, mlpWidth: width * 3 / 4 / 64 * 256,
                activation: .quickGELU),
            vocabularySize: 514, contextLength: 77, projectionWidth: 512)
    }
}
