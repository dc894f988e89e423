internal import Foundation
internal import Tensors

/// Which files a checkpoint consists of, and what lies in them.
struct CheckpointFiles {
    /// For messages: the path that the user gave.
    let label: String
    /// One file, or the shards in name order.
    let weights: [URL]
    /// The folder that they lie in.
    let folder: URL
    /// Where each tensor has to be, if there is an index of shards.
    private let index: [String: String]?

    /// The tensors of all files, by the names that the files give them.
    struct Contents {
        var tensors: [String: StoredTensor] = [:]
        var files: [MappedFile] = []
    }

    /// In this order: where a folder holds several, they hold the same weights.
    private static let names = [
        "model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors", "pytorch_model.bin",
        "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin", "model.pt",
    ]
    private static let extensions: Set<String> = ["safetensors", "bin", "pt", "pth", "ckpt"]
    private static let shardLimit = 1_024

    init(_ url: URL) throws(CLIPError) {
        label = url.path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw .unreadable(.fileUnreadable(path: url.path, reason: "there is no such file or folder"))
        }
        let file = isFolder.boolValue ? try Self.weightFile(in: url) : url
        folder = file.deletingLastPathComponent()
        if file.lastPathComponent.hasSuffix(".index.json") {
            let map = try Self.readIndex(file)
            index = map
            weights = Set(map.values).sorted().map { [folder] in folder.appendingPathComponent($0) }
        } else {
            index = nil
            weights = [file]
        }
    }

    private static func weightFile(in folder: URL) throws(CLIPError) -> URL {
        for name in names {
            let file = folder.appendingPathComponent(name)
            if FileManager.default.fileExists(atPath: file.path) { return file }
        }
        let entries = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        let candidates = entries.filter { extensions.contains($0.pathExtension) }
        guard candidates.count == 1 else {
            let found = candidates.isEmpty ? "it has no weights" : "several files in it could be the weights; name the one"
            throw .unrecognized(path: folder.path, reason: "\(found) (\(names.joined(separator: ", ")))")
        }
        return candidates[0]
    }

    /// `weight_map`: tensor to shard, each shard a file in the index's own folder.
    private static func readIndex(_ url: URL) throws(CLIPError) -> [String: String] {
        let fields = try ConfigurationFields(url, limit: 16 << 20, limits: .header)
        guard let entries = try fields.fields("weight_map")?.members, !entries.isEmpty else {
            throw fields.refused("weight_map", "is missing")
        }
        var map: [String: String] = [:]
        for (tensor, value) in entries {
            guard let shard = value.string, isPlainName(shard) else {
                throw fields.refused("weight_map", "names a shard for \(tensor.prefix(200)) that is no file in this folder")
            }
            map[tensor] = shard
        }
        guard Set(map.values).count <= shardLimit else { throw fields.refused("weight_map", "names more than \(shardLimit) shards") }
        return map
    }

    private static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.allSatisfy { $0 != UInt8(ascii: "/") && $0 != 0 }
    }

    func readTensors() throws(CLIPError) -> Contents {
        var contents = Contents()
        for url in weights {
            let (file, tensors) = try WeightFile.read(url)
            contents.files.append(file)
            for (name, tensor) in tensors {
                if let shard = index?[name], shard != url.lastPathComponent { continue }
                guard contents.tensors.updateValue(tensor, forKey: name) == nil else {
                    throw .tensorBounds(file: url.path, tensor: name, reason: "is in more than one shard")
                }
            }
        }
        for name in (index ?? [:]).keys.sorted() where contents.tensors[name] == nil {
            throw .missingTensor(file: folder.appendingPathComponent(index?[name] ?? "").path, tensor: name, shape: [])
        }
        return contents
    }
}
