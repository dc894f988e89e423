extension CLIPConfiguration {
    /// Multiplications and additions of one image through the image tower and its projection. Source: the method's section 7.
    package var operationsPerImage: Int {
        let patches = 2 * patchesPerSide * patchesPerSide * 3 * patchSize * patchSize * vision.width
        return patches + vision.operations(tokens: visionPositions) + 2 * vision.width * projectionWidth
    }

    /// The same of one prompt as long as the text tower takes it.
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
