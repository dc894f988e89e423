package import Imaging

/// A CLIP that is ready to work: the parts that belong together.
package struct CLIPModel: Sendable {
    /// Of its folder or file.
    package let name: String
    /// Of its weights, hex.
    package let sha256: String
    package let preprocessor: PreprocessorConfiguration
    package let imageEncoder: any ImageEncoder
    /// What makes text features; nil in a model that only scores against features it is given.
    package let text: TextFeatures?
    /// `exp(logit_scale)`
    package let scale: Float

    package init(
        name: String, sha256: String, preprocessor: PreprocessorConfiguration, imageEncoder: any ImageEncoder, text: TextFeatures?,
        scale: Float
    ) {
        self.name = name
        self.sha256 = sha256
        self.preprocessor = preprocessor
        self.imageEncoder = imageEncoder
        self.text = text
        self.scale = scale
    }
}
