internal import Foundation
internal import Tensors

/// One file of weights; its first bytes say in which format.
enum WeightFile {
    static func read(_ url: URL) throws(CLIPError) -> (MappedFile, [String: StoredTensor]) {
        let file: MappedFile
        do throws(TensorsError) {
            file = try MappedFile(url)
        } catch {
            throw .unreadable(error)
        }
        return (file, try tensors(in: file))
    }

    private static func tensors(in file: MappedFile) throws(CLIPError) -> [String: StoredTensor] {
        let start = file.withUnsafeBytes { Array($0.prefix(16)) }
        if start.withUnsafeBytes(ZipArchive.claims) { return try TorchArchive(file).tensors }
        let path = file.url.path
        if start.starts(with: Array("version https:/".utf8)) {
            throw .unrecognized(path: path, reason: "it is a pointer of Git LFS; fetch the file itself (git lfs pull)")
        }
        if start.count >= 2, start[0] == 0x80, start[1] <= 5, file.url.pathExtension != "safetensors" {
            throw .unrecognized(
                path: path,
                reason:
                    "it is a bare pickle, as torch before 1.6 wrote it; load and save it with a newer torch, or convert it to safetensors")
        }
        if file.url.pathExtension != "safetensors", start.count < 9 || start[8] != UInt8(ascii: "{") {
            throw .unrecognized(path: path, reason: "it is neither an archive of torch nor safetensors")
        }
        return try SafetensorsFile(file).tensors
    }
}
