internal import Crypto
package import Foundation
package import Imaging
package import Tensors

/// A CLIP that is ready to work: both towers, the tokenizer and the preprocessing that belong together.
package struct CLIPModel: Sendable {
    /// Of its folder or file.
    package let name: String
    /// Of its weights, hex.
    package let sha256: String
    package let configuration: CLIPConfiguration
    package let tokenizer: Tokenizer
    package let preprocessor: PreprocessorConfiguration
    package let imageEncoder: any ImageEncoder
    package let textEncoder: any TextEncoder
    /// `exp(logit_scale)`
    package let scale: Float
    /// SHA-256 over everything that text features depend on: weights, activation, tokenizer files. Hex.
    package let textIdentity: String

    package init(
        name: String, sha256: String, configuration: CLIPConfiguration, tokenizer: Tokenizer, preprocessor: PreprocessorConfiguration,
        imageEncoder: any ImageEncoder, textEncoder: any TextEncoder, scale: Float, tokenizerFiles: [URL]
    ) {
        self.name = name
        self.sha256 = sha256
        self.configuration = configuration
        self.tokenizer = tokenizer
        self.preprocessor = preprocessor
        self.imageEncoder = imageEncoder
        self.textEncoder = textEncoder
        self.scale = scale
        textIdentity = Self.identity(sha256, configuration, tokenizerFiles)
    }

    private static func identity(_ sha256: String, _ configuration: CLIPConfiguration, _ files: [URL]) -> String {
        var hash = SHA256()
        hash.update(data: Data("\(sha256) \(configuration.text.activation.rawValue) \(configuration.text.layerNormEpsilon)".utf8))
        for file in files { hash.update(data: (try? Data(contentsOf: file)) ?? Data()) }
        return hash.finalize().hexadecimal
    }
}

extension Digest {
    /// Two lowercase digits a byte.
    var hexadecimal: String {
        map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
