package import CLIP
internal import Drawing

extension ParameterLayout {
    /// First values, as CLIP's own code draws them: matrices normal with deviations that keep the size of activations, LayerNorms the
    /// identity, biases 0, the logit scale ln(1 / 0.07).
    package func initialParameters(_ configuration: CLIPConfiguration, seed: UInt64) -> [Float] {
        var parameters = [Float](repeating: 0, count: count)
        for (index, entry) in entries.enumerated() {
            let place = entry.offset..<entry.offset + entry.count
            if entry.name == "logit_scale" {
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
