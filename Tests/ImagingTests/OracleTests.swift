import Crypto
import Foundation
import Imaging
import TestSupport
import Testing

/// One entry of a `facts.json`: what another program found in an image file.
struct ImageFact: Decodable, CustomTestStringConvertible, Sendable {
    let file: String
    let width: Int
    let height: Int
    let rgb: String
    let resizedWidth: Int
    let resizedHeight: Int
    let cropped: String

    var testDescription: String { file }

    enum CodingKeys: String, CodingKey {
        case file, width, height
        case rgb = "rgb_sha256"
        case resizedWidth = "resized_width"
        case resizedHeight = "resized_height"
        case resized = "resized_sha256"
        case cropped = "cropped_sha256"
    }

    let resized: String

    static func all() throws -> [ImageFact] {
        try JSONDecoder().decode([ImageFact].self, from: Data(contentsOf: SharedFolder.file("oracles/images/facts.json")))
    }
}

func sha256(_ bytes: some Sequence<UInt8>) -> String {
    var hash = SHA256()
    Array(bytes).withUnsafeBytes { hash.update(bufferPointer: $0) }
    return hash.finalize().map { String(format: "%02x", $0) }.joined()
}

extension ImageDecoder {
    func decode(_ data: some Collection<UInt8>) throws -> RGBImage {
        try Array(data).withUnsafeBytes { try decode($0) }
    }
}

extension RGBImage {
    var samples: [UInt8] { withPixels { Array($0) } }
}

extension ImagePreprocessor {
    func crop(_ image: RGBImage) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: sampleCount) { buffer, count in
            crop(image, into: UnsafeMutableBufferPointer(rebasing: buffer[0..<sampleCount]), workspace: ImageWorkspace())
            count = sampleCount
        }
    }
}

@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)")) struct OracleTests {
    @Test func `pixels and crops are those of Pillow and transformers`() throws {
        let preprocessor = try ImagePreprocessor(PreprocessorConfiguration(side: 224))
        for fact in try ImageFact.all() {
            let image = try ImageDecoder().decode(Data(contentsOf: SharedFolder.file("oracles").appendingPathComponent(fact.file)))
            #expect(image.width == fact.width && image.height == fact.height, "\(fact.file)")
            #expect(sha256(image.samples) == fact.rgb, "\(fact.file)")
            let resized = preprocessor.resizedSize(width: fact.width, height: fact.height)
            #expect(resized == (fact.resizedWidth, fact.resizedHeight), "\(fact.file)")
            #expect(sha256(preprocessor.crop(image)) == fact.cropped, "\(fact.file)")
            if fact.resizedWidth * fact.resizedHeight < 4_000_000 {
                let whole = try preprocessor.resize(image, limit: 4_000_000, workspace: ImageWorkspace())
                #expect(sha256(whole.samples) == fact.resized, "\(fact.file)")
            }
        }
    }

    @Test func `normalised pixels are those of transformers`() throws {
        let expected = try ReferenceTensors(SharedFolder.file("oracles/images/pixel_values_224.safetensors"))
        let preprocessor = try ImagePreprocessor(PreprocessorConfiguration(side: 224))
        #expect(!expected.entries.isEmpty)
        for name in expected.entries.keys {
            let file = try Array(Data(contentsOf: SharedFolder.file("oracles").appendingPathComponent(name)))
            let found = try file.withUnsafeBytes { try preprocessor.preprocess($0) }
            let reference = expected.floats(name)
            try #require(found.count == reference.count, "\(name)")
            let worst = zip(found, reference).map { abs($0 - $1) }.max() ?? 0
            #expect(worst < 1e-5, "\(name)")
        }
    }
}
