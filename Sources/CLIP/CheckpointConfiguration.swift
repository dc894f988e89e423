internal import Foundation

extension CLIPConfiguration {
    /// The configuration that lies beside the weights, or what the shapes of the tensors say.
    init(files: CheckpointFiles, naming: CheckpointNaming, activation: Activation?) throws(CLIPError) {
        let openCLIP = files.folder.appendingPathComponent("open_clip_config.json")
        let huggingFace = files.folder.appendingPathComponent("config.json")
        if !naming.isHuggingFace, FileManager.default.fileExists(atPath: openCLIP.path) {
            try self.init(openCLIP: ConfigurationFields(openCLIP), activation: activation)
        } else if FileManager.default.fileExists(atPath: huggingFace.path) {
            try self.init(huggingFace: ConfigurationFields(huggingFace), activation: activation)
        } else {
            try self.init(shapesOf: naming, activation: activation ?? .quickGELU)
        }
    }

    /// Sizes from shapes, with heads of 64 as in OpenAI's models and most others.
    init(shapesOf naming: CheckpointNaming, activation: Activation) throws(CLIPError) {
        let shapes = try ShapeReader(naming: naming)
        let patch = try shapes.extents("vision_model.embeddings.patch_embedding.weight", count: 4)
        let positions = try shapes.extents("vision_model.embeddings.position_embedding.weight", count: 2)
        let tokens = try shapes.extents("text_model.embeddings.token_embedding.weight", count: 2)
        let context = try shapes.extents("text_model.embeddings.position_embedding.weight", count: 2)
        let projection = try shapes.extents("text_projection.weight", count: 2)
        try shapes.check("the patch size", patch[3], ConfigurationRange.imageSide)
        try shapes.check(
            "the number of positions", positions[0], 2...ConfigurationRange.imageSide.upperBound * ConfigurationRange.imageSide.upperBound)
        try shapes.check("the vocabulary", tokens[0], ConfigurationRange.vocabulary)
        try shapes.check("the context length", context[0], ConfigurationRange.context)
        try shapes.check("the projection width", projection[0], ConfigurationRange.width)
        let grid = Int(Double(positions[0] - 1).squareRoot())
        let side = naming.imageSide ?? grid * patch[3]
        guard grid * grid == positions[0] - 1, ConfigurationRange.imageSide.contains(side), side / patch[3] == grid else {
            throw .configuration(
                file: naming.file, field: "the picture's side",
                reason: "can't be told from \(positions[0]) positions of \(patch[3])-pixel patches")
        }
        self.init(
            vision: try shapes.tower("vision_model", width: patch[0], activation: activation), imageSide: side, patchSize: patch[3],
            text: try shapes.tower("text_model", width: tokens[1], activation: activation), vocabularySize: tokens[0],
            contextLength: context[0], projectionWidth: projection[0])
    }
}

/// Sizes as far as they can be read off the tensors.
private struct ShapeReader {
    let naming: CheckpointNaming

    init(naming: CheckpointNaming) throws(CLIPError) {
        self.naming = naming
        guard naming.sources["vision_model.embeddings.class_embedding"] != nil || !naming.unknown.isEmpty || !naming.sources.isEmpty else {
            throw .unrecognized(path: naming.file, reason: "it holds no tensors")
        }
        if let name = naming.unknown.keys.first(where: { $0.contains("visual.layer1.") }) {
            throw .configuration(
                file: naming.file, field: name, reason: "belongs to a ResNet tower; only Vision Transformers are supported")
        }
    }

    func extents(_ name: String, count: Int) throws(CLIPError) -> [Int] {
        guard let shape = naming.sources[name]?.shape else { throw .missingTensor(file: naming.file, tensor: name, shape: []) }
        guard shape.count == count, !shape.contains(0) else {
            throw .wrongShape(file: naming.file, tensor: name, expected: [Int](repeating: 1, count: count), found: shape)
        }
        return shape
    }

    func check(_ field: String, _ value: Int, _ range: ClosedRange<Int>) throws(CLIPError) {
        guard range.contains(value) else {
            throw .configuration(file: naming.file, field: field, reason: "would be \(value) by the tensors' shapes, outside \(range)")
        }
    }

    func tower(_ model: String, width: Int, activation: Activation) throws(CLIPError) -> TowerConfiguration {
        let prefix = "\(model).encoder.layers."
        var depth = 0
        for name in naming.sources.keys where name.hasPrefix(prefix) {
            guard let layer = Int(name.dropFirst(prefix.count).prefix { $0 != "." }), ConfigurationRange.depth.contains(layer &+ 1) else {
                throw .unknownTensor(file: naming.file, tensor: name, shape: naming.sources[name]?.shape ?? [])
            }
            depth = max(depth, layer + 1)
        }
        let dense = try extents(prefix + "0.mlp.fc1.weight", count: 2)
        try check("the width of \(model)", width, ConfigurationRange.width)
        try check("the depth of \(model)", depth, ConfigurationRange.depth)
        try check("the MLP width of \(model)", dense[0], ConfigurationRange.mlpWidth)
        guard width % 64 == 0 else {
            throw .configuration(
                file: naming.file, field: "the number of heads of \(model)",
                reason: "can't be told from its width \(width); add a config.json")
        }
        return TowerConfiguration(width: width, depth: depth, heads: width / 64, mlpWidth: dense[0], activation: activation)
    }
}
