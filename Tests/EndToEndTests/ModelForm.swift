import CLIP
import Foundation
import Testing

/// What a model is when a worker gets it: the same tests hold for a float model and for quantized folders.
enum ModelForm: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case float
    case quantized
    case mixed
    case reference

    var testDescription: String { rawValue }

    /// Arguments of `quantize`; nil for a float model.
    private var arguments: [String]? {
        switch self {
        case .float: nil
        case .quantized: ["--bits", "8-8-8"]
        case .mixed: ["--bits", "4-8-8", "--weights", "3", "--attention", "4"]
        case .reference: ["--recipe", "reference", "--bits", "4-4-8"]
        }
    }

    /// Writes a random model of this form into `folder`; its path.
    func write(
        _ configuration: CLIPConfiguration = RandomCLIP.small, to folder: TemporaryFolder, isHalf: Bool = false, images: [String] = []
    ) async throws -> String {
        try RandomCLIP.write(configuration, to: folder.url, isHalf: isHalf)
        let own = try images.isEmpty ? Pictures.all.enumerated().map { try folder.write("calibration\($0).image", $1) } : images
        return try await quantize(folder.url.path, images: own, classes: ["cat", "dog"], in: folder)
    }

    /// A float model's path in this form: itself, or a folder that `quantize` makes of it.
    func quantize(_ model: String, images: [String], classes: [String], in folder: TemporaryFolder) async throws -> String {
        guard let arguments else { return model }
        let set = try folder.write("calibration.yaml", "classes: [\(classes.joined(separator: ", "))]\n")
        let out = folder.path("quantized-\(rawValue)")
        let run = try await Program.run(
            ["quantize", "--model", model, "--class-set", set, "--out", out, "--quiet"] + arguments
                + images.flatMap { ["--calibration", $0] })
        #expect(run.code == 0, "\(run.errors)")
        return out
    }
}
