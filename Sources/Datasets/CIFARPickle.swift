/// The images of a file of CIFAR-10 or CIFAR-100 in the Python version, as PNG: a pickled dictionary whose `data` is an array [images, 3072] of
/// bytes, red before green before blue, and whose `labels` or `fine_labels` are a list of numbers.
///
/// Labels are the names in `batches.meta` (`label_names`) or `meta` (`fine_label_names`) beside the file; without it, numbers.
/// Source: https://www.cs.toronto.edu/~kriz/cifar.html
struct CIFARPickle {
    /// CIFAR-100's training file has 155 MB.
    private static let sizeLimit = 512 << 20
    private static let metaLimit = 1 << 20

    private let path: String
    private let pixels: ArraySlice<UInt8>
    private let labels: [Int]
    private let names: [String]
    private var index = 0

    /// Nil unless the file begins and ends as a pickle of protocol 2 or newer does: no image does both.
    ///
    /// Throws: `unreadable`, about a pickle that is damaged or holds something else.
    init?(_ path: [UInt8]) throws(DatasetError) {
        let start = try InputFile(path).read(2)
        guard start.count == 2, start[0] == 0x80, (2...5).contains(start[1]) else { return nil }
        let bytes = try InputFile(path).readAll(limit: Self.sizeLimit)
        guard bytes.last == UInt8(ascii: ".") else { return nil }
        let name = String(decoding: path, as: UTF8.self)
        var pickle = ArrayPickle(bytes, file: name)
        let fields = try pickle.dictionary()
        guard case .array(let shape, let pixels)? = fields["data"], shape.count == 2, shape[1] == CIFARImage.samples else {
            throw .unreadable(path: name, reason: "it is a pickle, but has no array `data` of images of 3072 bytes, as CIFAR's files have")
        }
        let fine = fields["fine_labels"]
        guard case .list(let list)? = fine ?? fields["labels"] else {
            throw .unreadable(path: name, reason: "it is a pickle, but has no list `labels` or `fine_labels`, as CIFAR's files have")
        }
        let labels = pickle.integers(list)
        guard labels.count == shape[0], labels.allSatisfy({ $0 >= 0 }) else {
            throw .unreadable(path: name, reason: "it has \(shape[0]) images, but \(labels.count) labels that are numbers")
        }
        (self.path, self.pixels, self.labels) = (name, pixels, labels)
        let folder = path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[...$0]) } ?? []
        names =
            fine == nil
            ? Self.names(folder + Array("batches.meta".utf8), "label_names") : Self.names(folder + Array("meta".utf8), "fine_label_names")
    }

    /// The next image; nil at the end.
    mutating func next() -> DatasetItem? {
        guard index < labels.count else { return nil }
        defer { index += 1 }
        let start = pixels.startIndex + index * CIFARImage.samples
        return CIFARImage.item(path, index, label: labels[index], names, pixels[start..<start + CIFARImage.samples])
    }

    private static func names(_ path: [UInt8], _ field: String) -> [String] {
        guard let file = try? InputFile(path), let bytes = try? file.readAll(limit: metaLimit) else { return [] }
        var pickle = ArrayPickle(bytes, file: file.name)
        guard let fields = try? pickle.dictionary(), case .list(let list)? = fields[field] else { return [] }
        return pickle.texts(list)
    }
}
