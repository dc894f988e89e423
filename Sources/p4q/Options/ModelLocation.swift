import BuiltInModel
import CLIP
import Drawing
import Foundation
import Quantization

/// Where `--model` points: a path, or the model that comes with the program.
enum ModelLocation {
    /// What `--model` is where it is not given.
    static let standard = BuiltInModel.eightBit

    /// The folder or file of `model`: "builtin" and "builtin-8" are the built-in one, unless something of that name lies here.
    static func url(_ model: String?) throws(BuiltInModel.Unwritable) -> URL {
        guard let builtIn = builtIn(model) else {
            let url = URL(fileURLWithPath: model ?? "")
            // The weights of a quantized model mean nothing without what lies beside them.
            let folder = CLIPModel.folder(of: url)
            return folder != url && QuantizedFolder.isOne(folder) ? folder : url
        }
        let environment = ProcessInfo.processInfo.environment
        let caches = [environment["XDG_CACHE_HOME"], environment["HOME"].map { $0 + "/.cache" }].compactMap { $0 }
            .map { URL(fileURLWithPath: $0).appendingPathComponent("p4q/models") }
        let temporary = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-\(getuid())/models")
        return try builtIn.folder(in: caches + [temporary])
    }

    /// Which built-in model `model` means, if it means one.
    static func builtIn(_ model: String?) -> BuiltInModel? {
        guard let model else { return standard }
        return FileManager.default.fileExists(atPath: model) ? nil : BuiltInModel(rawValue: model)
    }

    /// The classes of a built-in model where nobody names any: everything that it was trained on.
    static func classSet() throws -> ClassSet {
        try ClassSet(yaml: DrawnClassSet.yaml, file: "the built-in class set", defaultName: "drawn-world")
    }
}
