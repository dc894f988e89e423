extension CLIPConfiguration {
    /// Multiplications and additions of one image through the image tower and its projection. Source: the method's section 7.
    package var operationsPerImage: Int {
        let patches = 2 * patchesPerSide * patchesPerSide * 3 * patchSize * patchSize * vision.width
        return patches + vision.operations(tokens: visionPositions) + 2 * vision.width * projectionWidth
    }

    /// The linear maps of one image's pass that are computed: of the last block, only the class token needs query, output and dense layers.
    package var imageProducts: [(rows: Int, outputs: Int, inputs: Int, count: Int)] {
        let (width, mlp, positions, blocks) = (vision.width, vision.mlpWidth, visionPositions, vision.depth - 1)
        return [
            (positions - 1, width, 3 * patchSize * patchSize, 1), (positions, width, width, 4 * blocks + 2),
            (positions, mlp, width, blocks),
            (positions, width, mlp, blocks), (1, width, width, 2), (1, mlp, width, 1), (1, width, mlp, 1),
        ]
    }

    /// Multiplications and additions of one image that are needed in integers: those of `imageProducts` and, where attention is quantized, of
    /// its two products.
    package func integerOperationsPerImage(quantizesAttention: Bool) -> Int {
        let maps = imageProducts.reduce(0) { $0 + 2 * $1.rows * $1.outputs * $1.inputs * $1.count }
        let queries = (vision.depth - 1) * visionPositions + 1
        return maps + (quantizesAttention ? 4 * queries * visionPositions * vision.width : 0)
    }

    /// As `operationsPerImage`, of one prompt as long as the text tower takes it.
    package var operationsPerPrompt: Int {
        text.operations(tokens: contextLength) + 2 * text.width * projectionWidth
    }
}

extension TowerConfiguration {
    /// Of all blocks: four maps of attention, two of the MLP, attention's two products.
    fileprivate func operations(tokens: Int) -> Int {
        depth * 2 * tokens * (4 * width * width + 2 * width * mlpWidth + 2 * tokens * width)
    }
}
