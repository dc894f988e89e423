package import CLIP
internal import Drawing

extension ParameterLayout {
    /// First values, as CLIP's own code draws them: matrices normal with deviations that keep the size of activations, LayerNorms the
    /// identity, biases 0, the logit scale ln(1 / 0.07). The picture's positions begin as waves across the grid instead of noise, so that
    /// neighbours are alike from the first step on: small models on few pictures find shapes much sooner.
    package func initialParameters(_ configuration: CLIPConfiguration, seed: UInt64) -> [Float] {
        var parameters = [Float](repeating: 0, count: count)
        for (index, entry) in entries.enumerated() {
            let place = entry.offset..<entry.offset + entry.count
            if entry.name == "vision_model.embeddings.position_embedding.weight" {
                let positions = Self.gridPositions(perSide: configuration.patchesPerSide, width: configuration.vision.width)
                parameters.replaceSubrange(place, with: positions)
            } else if entry.name == "logit_scale" {
                parameters[entry.offset] = 2.6592
            } else if entry.name.contains("norm") || entry.name.hasSuffix("bias") {
                for element in place { parameters[element] = entry.name.hasSuffix("weight") ? 1 : 0 }
            } else {
                var random = CounterRandom(seed: seed, index: UInt64(index), purpose: .training)
                let deviation = Self.deviation(entry, configuration)
                for element in place { parameters[element] = Float(random.normal() * deviation) }
            }
        }
        return parameters
    }

    /// [1 + perSide^2, width]: zeros for the class token, then for each patch sines and cosines of its column and of its row, with
    /// wavelengths from two patches to four times the grid.
    ///
    /// Source: Beyer, Zhai and Kolesnikov, Better plain ViT baselines for ImageNet-1k; there the positions stay fixed.
    private static func gridPositions(perSide: Int, width: Int) -> [Float] {
        var positions = [Float](repeating: 0, count: (perSide * perSide + 1) * width)
        let waves = width / 4
        guard waves > 0 else { return positions }
        var lengths: [Double] = []
        for wave in 0..<waves {
            let part = waves > 1 ? Double(wave) / Double(waves - 1) : 0
            lengths.append(2 + (4 * Double(perSide) - 2) * part * part)
        }
        for patch in 0..<perSide * perSide {
            let row = (patch + 1) * width
            for (wave, length) in lengths.enumerated() {
                let (x, y) = (Double(patch % perSide) / length, Double(patch / perSide) / length)
                for (offset, value) in [Turn.sine(x), Turn.cosine(x), Turn.sine(y), Turn.cosine(y)].enumerated() {
                    positions[row + offset * waves + wave] = Float(value * gridAmplitude)
                }
            }
        }
        return positions
    }

    /// About as large as what patches of drawn pictures are embedded to.
    private static let gridAmplitude = 0.5

    /// Source: initialize_parameters of OpenAI's CLIP.
    private static func deviation(_ entry: Entry, _ configuration: CLIPConfiguration) -> Double {
        let isText = entry.name.hasPrefix("text")
        let tower = isText ? configuration.text : configuration.vision
        let width = Double(tower.width).squareRoot()
        if entry.name.hasSuffix("token_embedding.weight") { return 0.02 }
        if entry.name.hasSuffix("position_embedding.weight") { return isText ? 0.01 : 1 / width }
        if entry.name.hasSuffix("patch_embedding.weight") { return 1 / Double(entry.shape.dropFirst().reduce(1, *)).squareRoot() }
        if entry.name.hasSuffix("fc1.weight") { return 1 / (2 * Double(tower.width)).squareRoot() }
        if entry.name.hasSuffix("out_proj.weight") || entry.name.hasSuffix("fc2.weight") {
            return 1 / (width * (2 * Double(tower.depth)).squareRoot())
        }
        return 1 / width
    }
}
