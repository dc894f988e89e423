package import CLIP

/// Where each tensor of a CLIP lies in one run of floats, so that gradients, moments and checkpoints are such runs too.
package struct ParameterLayout: Sendable {
    /// A tensor's name (Hugging Face's), shape and place.
    package struct Entry: Sendable {
        package let name: String
        package let shape: [Int]
        package let offset: Int
        package var count: Int { shape.reduce(1, *) }
        /// Weight decay holds matrices; biases, norms, embeddings of single vectors and the logit scale are free.
        package var isDecayed: Bool { shape.count >= 2 && !name.contains("embedding.weight") || name.contains("patch_embedding") }
    }

    package let entries: [Entry]
    /// Floats in all.
    package let count: Int
    private let places: [String: Int]

    /// - Parameter prefixes: of the names of the tensors wanted; all where nil.
    package init(_ configuration: CLIPConfiguration, prefixes: [String]? = nil) {
        var entries: [Entry] = []
        var offset = 0
        // Key and value of a block lie behind each other, and their biases too: one product makes both.
        let shapes = configuration.tensorShapes.sorted { Self.order($0.key) < Self.order($1.key) }
        for (name, shape) in shapes where prefixes.map({ $0.contains { name.hasPrefix($0) } }) ?? true {
            entries.append(Entry(name: name, shape: shape, offset: offset))
            offset += shape.reduce(1, *)
        }
        self.entries = entries
        count = offset
        places = Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.offset) })
    }

    /// Precondition: there is a tensor of that name.
    package subscript(name: String) -> Int {
        guard let place = places[name] else { preconditionFailure("there is no tensor \(name)") }
        return place
    }

    private static func order(_ name: String) -> String {
        for (projection, rank) in [("k_proj", 0), ("v_proj", 1)] where name.hasSuffix("self_attn.\(projection).weight") {
            return name.replacing("self_attn.\(projection).weight", with: "self_attn.key_value.0.\(rank)")
        }
        for (projection, rank) in [("k_proj", 0), ("v_proj", 1)] where name.hasSuffix("self_attn.\(projection).bias") {
            return name.replacing("self_attn.\(projection).bias", with: "self_attn.key_value.1.\(rank)")
        }
        return name
    }
}

/// Where the tensors of one block lie.
struct BlockPlaces: Sendable {
    let gamma1: Int
    let beta1: Int
    let queryWeight: Int
    let queryBias: Int
    /// [2 width, width]
    let keyValueWeight: Int
    /// [2 width]
    let keyValueBias: Int
    let outputWeight: Int
    let outputBias: Int
    let gamma2: Int
    let beta2: Int
    let dense1Weight: Int
    let dense1Bias: Int
    let dense2Weight: Int
    let dense2Bias: Int

    init(_ layout: ParameterLayout, tower: String, index: Int) {
        let block = "\(tower).encoder.layers.\(index)."
        gamma1 = layout[block + "layer_norm1.weight"]
        beta1 = layout[block + "layer_norm1.bias"]
        queryWeight = layout[block + "self_attn.q_proj.weight"]
        queryBias = layout[block + "self_attn.q_proj.bias"]
        keyValueWeight = layout[block + "self_attn.k_proj.weight"]
        keyValueBias = layout[block + "self_attn.k_proj.bias"]
        outputWeight = layout[block + "self_attn.out_proj.weight"]
        outputBias = layout[block + "self_attn.out_proj.bias"]
        gamma2 = layout[block + "layer_norm2.weight"]
        beta2 = layout[block + "layer_norm2.bias"]
        dense1Weight = layout[block + "mlp.fc1.weight"]
        dense1Bias = layout[block + "mlp.fc1.bias"]
        dense2Weight = layout[block + "mlp.fc2.weight"]
        dense2Bias = layout[block + "mlp.fc2.bias"]
    }
}
