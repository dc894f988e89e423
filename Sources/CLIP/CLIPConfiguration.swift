/// The nonlinearity between a block's two dense layers.
package enum Activation: String, Sendable {
    /// x * sigmoid(1.702 x), as OpenAI trained with.
    case quickGELU = "quick_gelu"
    /// x * Phi(x), by the error function.
    case gelu
}

/// The sizes of one transformer.
package struct TowerConfiguration: Sendable, Equatable {
    package var width: Int
    package var depth: Int
    package var heads: Int
    package var mlpWidth: Int
    package var layerNormEpsilon: Float
    package var activation: Activation

    package init(width: Int, depth: Int, heads: Int, mlpWidth: Int, layerNormEpsilon: Float = 1e-5, activation: Activation) {
        self.width = width
        self.depth = depth
        self.heads = heads
        self.mlpWidth = mlpWidth
        self.layerNormEpsilon = layerNormEpsilon
        self.activation = activation
    }
}

/// The sizes of a CLIP.
package struct CLIPConfiguration: Sendable, Equatable {
    package var vision: TowerConfiguration
    /// Width and height of the pictures that the vision tower takes, in pixels.
    package var imageSide: Int
    package var patchSize: Int
    package var text: TowerConfiguration
    package var vocabularySize: Int
    /// Positions of the text tower: start token, text, end token.
    package var contextLength: Int
    /// Length of the features that both towers end in.
    package var projectionWidth: Int

    package init(
        vision: TowerConfiguration, imageSide: Int, patchSize: Int, text: TowerConfiguration, vocabularySize: Int, contextLength: Int,
        projectionWidth: Int
    ) {
        self.vision = vision
        self.imageSide = imageSide
        self.patchSize = patchSize
        self.text = text
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.projectionWidth = projectionWidth
    }

    /// Whole patches along a side; pixels that don't fill one are dropped, as the convolution drops them.
    package var patchesPerSide: Int { imageSide / patchSize }

    /// Tokens of the vision tower: the class token and one for each patch.
    package var visionPositions: Int { patchesPerSide * patchesPerSide + 1 }
}
