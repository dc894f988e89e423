import ArgumentParser
import CLIP
import Foundation
import Quantization

/// `p4q model ...`
struct Model: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Look into models.", subcommands: [Inspect.self])

    /// `p4q model inspect`: what a checkpoint holds.
    struct Inspect: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print what a float or quantized model holds, having checked every tensor.")

        @Argument(help: "A Hugging Face folder, OpenAI's or open_clip's file, or a folder of p4q quantize.", completion: .directory)
        var model: String

        @Option(name: .long, help: "The activation, instead of what the configuration says: quick_gelu or gelu.")
        var activation: Activation?

        @Flag(name: .long, help: "Print a JSON object.")
        var json = false

        func run() async throws {
            let url = try ModelLocation.url(model)
            if QuantizedFolder.isOne(url) {
                guard activation == nil else {
                    throw ValidationError("--activation goes with a float model; \(model) is quantized already")
                }
                let facts = try QuantizedFacts(url)
                if json { try printJSON(facts) } else { for line in facts.lines { try StandardOutput.line(line) } }
                return try StandardOutput.flush()
            }
            let checkpoint = try Checkpoint.load(url, activation: activation)
            let facts = Facts(checkpoint)
            if json {
                try printJSON(facts)
            } else {
                for (name, value) in facts.lines {
                    try StandardOutput.line(name.padding(toLength: 16, withPad: " ", startingAt: 0) + value)
                }
            }
            try StandardOutput.flush()
        }

        private func printJSON(_ facts: some Encodable) throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            try StandardOutput.line(String(decoding: try encoder.encode(facts), as: UTF8.self))
        }
    }

    /// What is printed.
    private struct Facts: Encodable {
        struct Tower: Encodable {
            let width: Int
            let depth: Int
            let heads: Int
            let mlp_width: Int
            let parameters: Int

            init(_ configuration: TowerConfiguration, parameters: Int) {
                width = configuration.width
                depth = configuration.depth
                heads = configuration.heads
                mlp_width = configuration.mlpWidth
                self.parameters = parameters
            }

            var description: String { "\(depth) blocks of width \(width), \(heads) heads, MLP \(mlp_width), \(parameters) parameters" }
        }

        let name: String
        let sha256: String
        let files: [String]
        let image_side: Int
        let patch_size: Int
        let activation: String
        let context_length: Int
        let vocabulary_size: Int
        let feature_width: Int
        let vision: Tower
        let text: Tower

        init(_ checkpoint: Checkpoint) {
            let configuration = checkpoint.configuration
            name = checkpoint.name
            sha256 = checkpoint.sha256
            files = checkpoint.files.map(\.lastPathComponent)
            image_side = configuration.imageSide
            patch_size = configuration.patchSize
            activation = configuration.vision.activation.rawValue
            context_length = configuration.contextLength
            vocabulary_size = configuration.vocabularySize
            feature_width = configuration.projectionWidth
            let shapes = configuration.tensorShapes
            func parameters(_ prefix: String) -> Int {
                shapes.filter { $0.key.hasPrefix(prefix) }.reduce(0) { $0 + $1.value.reduce(1, *) }
            }
            vision = Tower(configuration.vision, parameters: parameters("vision_model.") + parameters("visual_projection."))
            text = Tower(configuration.text, parameters: parameters("text_model.") + parameters("text_projection."))
        }

        var lines: [(String, String)] {
            [
                ("name", name), ("sha256", sha256), ("files", files.joined(separator: ", ")),
                ("images", "\(image_side) x \(image_side), patches of \(patch_size)"),
                ("vision", vision.description), ("text", text.description), ("activation", activation),
                ("prompts", "\(context_length) tokens of \(vocabulary_size)"), ("features", "\(feature_width)"),
            ]
        }
    }
}
