/// The images of a file of CIFAR-10 or CIFAR-100 in the binary version, as PNG.
///
///     CIFAR-10   label 1 | red 32 x 32 | green | blue                 3,073 bytes an image
///     CIFAR-100  coarse label 1 | fine label 1 | the same             3,074 bytes an image
///
/// Labels are the names in `batches.meta.txt` or `fine_label_names.txt` beside the file, one a line; without it, numbers.
/// Source: https://www.cs.toronto.edu/~kriz/cifar.html
struct CIFARFile {
    private let file: InputFile
    private let labelBytes: Int
    private let names: [String]
    private var index = 0

    /// Nil unless the name ends in `.bin` and the length is a whole number of images of one of the two; anything else is taken for an image.
    init?(_ path: [UInt8]) throws(DatasetError) {
        guard path.hasSuffix(".bin") else { return nil }
        file = try InputFile(path)
        let folder = path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[...$0]) } ?? []
        let (size, pixels) = (file.size, CIFARImage.samples)
        if size > 0 && size % (pixels + 1) == 0 {
            labelBytes = 1
            names = Self.names(folder + Array("batches.meta.txt".utf8))
        } else if size > 0 && size % (pixels + 2) == 0 {
            labelBytes = 2
            names = Self.names(folder + Array("fine_label_names.txt".utf8))
        } else {
            return nil
        }
    }

    /// The next image; nil at the end.
    mutating func next() throws(DatasetError) -> DatasetItem? {
        let record = try file.read(labelBytes + CIFARImage.samples)
        guard !record.isEmpty else { return nil }
        guard record.count == labelBytes + CIFARImage.samples else {
            throw .unreadable(path: file.name, reason: "it became shorter while it was read")
        }
        defer { index += 1 }
        return CIFARImage.item(file.name, index, label: Int(record[labelBytes - 1]), names, record[labelBytes...])
    }

    private static func names(_ path: [UInt8]) -> [String] {
        guard let file = try? InputFile(path), let bytes = try? file.readAll(limit: 64 << 10) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
    }
}
