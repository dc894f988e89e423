import CLIP
import Foundation
import Tensors
import Testing

/// A CLIP of 78 numbers in every layout that checkpoints are published in.
@Suite struct CheckpointTests {
    private let folder: TemporaryFolder
    private let model = TinyCLIP()

    init() throws {
        folder = try TemporaryFolder()
        try folder.write("config.json", TinyCLIP.json)
    }

    private func write(_ tensors: [String: TinyTensor], to name: String, type: ElementType = .float32) throws {
        let entries = tensors.map { name, tensor in
            let bytes = type == .float32 ? tensor.bytes : type == .float16 ? tensor.halfBytes : tensor.brainBytes
            return SafetensorsWriter.Entry(name, type: type, shape: tensor.shape, bytes: bytes)
        }
        try SafetensorsWriter.write(entries, to: folder.url.appendingPathComponent(name))
    }

    private func refusal() -> String { code { _ = try Checkpoint.load(folder.url) } }

    @Test(arguments: [ElementType.float32, .float16, .bfloat16])
    func `safetensors of each floating-point type give the same numbers`(type: ElementType) throws {
        try write(model.tensors, to: "model.safetensors", type: type)
        let checkpoint = try Checkpoint.load(folder.url)
        #expect(model.equals(checkpoint))
        #expect(checkpoint.configuration == TinyCLIP.configuration)
        #expect(checkpoint.name == folder.url.lastPathComponent)
        #expect(checkpoint.files.map(\.lastPathComponent) == ["model.safetensors"])
    }

    @Test func `the activation can be overridden`() throws {
        try write(model.tensors, to: "model.safetensors")
        let configuration = try Checkpoint.load(folder.url, activation: .gelu).configuration
        #expect(configuration.text.activation == .gelu)
        #expect(configuration.vision.activation == .gelu)
    }

    @Test func `the hash is of the file's bytes, of shards in name order`() throws {
        let names = model.tensors.keys.sorted()
        let (first, second) = (Set(names.prefix(20)), Set(names.dropFirst(20)))
        try write(model.tensors.filter { second.contains($0.key) }, to: "b.safetensors")
        try write(model.tensors.filter { first.contains($0.key) }, to: "a.safetensors")
        let map = names.map { "\"\($0)\": \"\(first.contains($0) ? "a" : "b").safetensors\"" }
        try folder.write("model.safetensors.index.json", "{\"metadata\": {}, \"weight_map\": {\(map.joined(separator: ", "))}}")
        let checkpoint = try Checkpoint.load(folder.url)
        #expect(model.equals(checkpoint))
        #expect(checkpoint.files.map(\.lastPathComponent) == ["a.safetensors", "b.safetensors"])
        let whole = try checkpoint.files.map { try Data(contentsOf: $0) }.reduce(Data(), +)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
        process.arguments = [try folder.write("whole", Array(whole)).path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        process.waitUntilExit()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(checkpoint.sha256 == output.prefix(64))
    }

    @Test(arguments: ["../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", "a\\u0000b"])
    func `an index can't lead out of its folder`(shard: String) throws {
        try folder.write("model.safetensors.index.json", "{\"weight_map\": {\"logit_scale\": \"\(shard)\"}}")
        #expect(refusal() == "model.configuration_invalid")
    }

    @Test func `a tensor that the index promises and no shard has is missed by name`() throws {
        try write(model.tensors, to: "a.safetensors")
        try folder.write(
            "model.safetensors.index.json", "{\"weight_map\": {\"logit_scale\": \"a.safetensors\", \"ghost\": \"a.safetensors\"}}")
        #expect(refusal() == "model.missing_tensor")
    }

    @Test func `position ids are ignored, other tensors are not`() throws {
        var tensors = model.tensors
        tensors["text_model.embeddings.position_ids"] = TinyTensor(shape: [1, 3], values: [0, 1, 2])
        tensors["vision_model.embeddings.position_ids"] = TinyTensor(shape: [1, 5], values: [0, 1, 2, 3, 4])
        try write(tensors, to: "model.safetensors")
        #expect(model.equals(try Checkpoint.load(folder.url)))
        tensors["text_model.extra"] = TinyTensor(shape: [1], values: [0])
        try write(tensors, to: "model.safetensors")
        let error = #expect(throws: CLIPError.self) { _ = try Checkpoint.load(folder.url) }
        #expect(error == .unknownTensor(file: folder.url.path, tensor: "text_model.extra", shape: [1]))
    }

    @Test func `every missing tensor and every wrong shape is named, with both shapes`() throws {
        for name in model.tensors.keys {
            var tensors = model.tensors
            let whole = try #require(model.tensors[name])
            tensors[name] = nil
            try write(tensors, to: "model.safetensors")
            let missing = #expect(throws: CLIPError.self) { _ = try Checkpoint.load(folder.url) }
            #expect(missing == .missingTensor(file: folder.url.path, tensor: name, shape: whole.shape))
            tensors[name] = TinyTensor(shape: [1] + whole.shape + [1], values: whole.values)
            try write(tensors, to: "model.safetensors")
            let wrong = #expect(throws: CLIPError.self) { _ = try Checkpoint.load(folder.url) }
            #expect(wrong == .wrongShape(file: folder.url.path, tensor: name, expected: whole.shape, found: [1] + whole.shape + [1]))
        }
    }

    @Test func `integers are no weights`() throws {
        var entries = model.tensors.filter { $0.key != "logit_scale" }.map {
            SafetensorsWriter.Entry($0, type: .float32, shape: $1.shape, bytes: $1.bytes)
        }
        entries.append(SafetensorsWriter.Entry("logit_scale", type: .int32, shape: [], bytes: [1, 0, 0, 0]))
        try SafetensorsWriter.write(entries, to: folder.url.appendingPathComponent("model.safetensors"))
        #expect(refusal() == "model.wrong_type")
    }

    @Test func `a pickled dictionary, wrapped and prefixed or not, in both precisions`() throws {
        for (isWrapped, isHalf) in [(false, false), (true, false), (true, true)] {
            try folder.write("pytorch_model.bin", TorchFile.dictionary(model.tensors, isWrapped: isWrapped, isHalf: isHalf).bytes())
            #expect(model.equals(try Checkpoint.load(folder.url)))
        }
    }

    @Test func `OpenAI's names in a pickle, in safetensors and in a TorchScript archive`() throws {
        let file = folder.url.appendingPathComponent("model.pt")
        for zip in [
            TorchFile.dictionary(model.openAI), TorchFile.dictionary(model.openAI, isWrapped: true), TorchFile.script(model.openAI),
        ] {
            try folder.write("model.pt", zip.bytes())
            #expect(model.equals(try Checkpoint.load(file)))
            #expect(model.equals(try Checkpoint.load(folder.url)))
        }
        try write(model.openAI, to: "open_clip_model.safetensors")
        #expect(model.equals(try Checkpoint.load(folder.url)))
    }

    @Test func `open_clip's configuration tells sizes and activation`() throws {
        let text = #""text_cfg": {"context_length": 3, "vocab_size": 4, "width": 2, "heads": 1, "layers": 1, "mlp_ratio": 1.5}"#
        let vision = #""vision_cfg": {"image_size": 2, "patch_size": 1, "width": 2, "head_width": 2, "layers": 1, "mlp_ratio": 1.5}"#
        try write(model.openAI, to: "open_clip_model.safetensors")
        try folder.write("open_clip_config.json", "{\"model_cfg\": {\"embed_dim\": 3, \(text), \(vision)}}")
        #expect(try Checkpoint.load(folder.url).configuration.text.activation == .gelu)
        try folder.write("open_clip_config.json", "{\"embed_dim\": 3, \"quick_gelu\": true, \(text), \(vision)}")
        #expect(try Checkpoint.load(folder.url).configuration == TinyCLIP.configuration)
        try folder.write("open_clip_config.json", "{\"embed_dim\": 3, \(text), \"vision_cfg\": {\"timm_model_name\": \"x\"}}")
        #expect(refusal() == "model.configuration_invalid")
    }

    @Test func `open_clip's separate text tower and causal mask`() throws {
        var tensors: [String: TinyTensor] = [:]
        for (name, tensor) in model.openAI { tensors[name.hasPrefix("visual.") || name == "logit_scale" ? name : "text." + name] = tensor }
        tensors["text.attn_mask"] = TinyTensor(shape: [3, 3], values: [Float](repeating: 0, count: 9))
        try write(tensors, to: "open_clip_model.safetensors")
        #expect(model.equals(try Checkpoint.load(folder.url)))
    }

    @Test func `strided tensors are put in order`() throws {
        var tensors = model.tensors
        let name = "text_model.encoder.layers.0.mlp.fc1.weight"
        let original = try #require(tensors[name])
        tensors[name] = TinyTensor(shape: original.shape, values: original.transposed.values, strides: [1, original.shape[0]])
        try folder.write("pytorch_model.bin", TorchFile.dictionary(tensors).bytes())
        #expect(model.equals(try Checkpoint.load(folder.url)))
    }

    @Test(arguments: [
        (#""num_attention_heads": 1"#, #""num_attention_heads": 3"#), (#""hidden_size": 2"#, #""hidden_size": 99999999999"#),
        (#""patch_size": 1"#, #""patch_size": 0"#), (#""patch_size": 1"#, #""patch_size": 3"#),
        (#""hidden_size": 2"#, #""hidden_size": "2""#),
        (#""num_hidden_layers": 1"#, #""num_hidden_layers": 1000000"#), (#""vocab_size": 4"#, #""vocab_size": 4, "hidden_act": "relu""#),
        (#""model_type": "clip""#, #""model_type": "siglip""#), (#""image_size": 2"#, #""image_size": [2, 3]"#),
        (#""image_size": 2"#, #""image_size": 2, "num_channels": 4"#),
    ])
    func `a configuration that can't be is refused by field`(old: String, new: String) throws {
        try write(model.tensors, to: "model.safetensors")
        try folder.write("config.json", TinyCLIP.json.replacingOccurrences(of: old, with: new))
        #expect(refusal() == "model.configuration_invalid")
    }

    @Test func `configurations of 2022 carry both forms, and the _dict wins`() throws {
        try write(model.tensors, to: "model.safetensors")
        let json = TinyCLIP.json.replacingOccurrences(
            of: "\"text_config\"", with: "\"text_config\": {\"hidden_size\": 77}, \"text_config_dict\""
        )
        .replacingOccurrences(of: "\"vision_config\"", with: "\"vision_config_dict\": null, \"vision_config\"")
        try folder.write("config.json", json)
        #expect(model.equals(try Checkpoint.load(folder.url)))
    }

    @Test func `hostile JSON is refused`() throws {
        try write(model.tensors, to: "model.safetensors")
        for json in [
            String(repeating: "[", count: 100_000), "{\"a\": 1, \"a\": 2}", "{\"a\": 1e999}", "{\"a\": \"\\ud800\"}", "{", "[]", "",
        ] {
            try folder.write("config.json", json)
            #expect(refusal() == "model.json_invalid")
        }
        try folder.write("config.json", String(repeating: " ", count: 5 << 20))
        #expect(refusal() == "model.file_too_large")
    }

    @Test func `what holds no CLIP says why`() throws {
        #expect(refusal() == "model.unrecognized")
        #expect(code { _ = try Checkpoint.load(folder.url.appendingPathComponent("nothing")) } == "file.unreadable")
        try folder.write("a.pt", [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19])
        #expect(refusal() == "model.unrecognized")
        try folder.write("b.pt", [])
        #expect(refusal() == "model.unrecognized")
        try folder.write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
        let error = #expect(throws: CLIPError.self) { _ = try Checkpoint.load(folder.url) }
        #expect(error?.description.contains("Git LFS") == true)
        try FileManager.default.removeItem(at: folder.url.appendingPathComponent("model.safetensors"))
        try FileManager.default.createDirectory(
            at: folder.url.appendingPathComponent("model.safetensors"), withIntermediateDirectories: true)
        #expect(refusal() == "file.not_a_file")
    }

    @Test func `without a configuration sizes come from the shapes`() throws {
        try FileManager.default.removeItem(at: folder.url.appendingPathComponent("config.json"))
        try write(model.openAI, to: "open_clip_model.safetensors")
        // Heads can't be told from a width of 2.
        #expect(refusal() == "model.configuration_invalid")
        try write(["visual.layer1.0.conv1.weight": TinyTensor(shape: [1], values: [1])], to: "open_clip_model.safetensors")
        #expect(refusal() == "model.configuration_invalid")
        try write([:], to: "open_clip_model.safetensors")
        #expect(refusal() == "model.unrecognized")
    }
}
