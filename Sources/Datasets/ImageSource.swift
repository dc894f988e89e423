/// The images that a list of files, folders and tar archives stands for, one at a time, in a fixed order.
///
/// - A file is an image, whatever its name; `FILE.tar` is an archive (`TarShard`); `FILE.bin` may be one of CIFAR's (`CIFARFile`), and so
///   may a pickle, whose name is no image's (`CIFARPickle`).
/// - A folder stands for the `.png`, `.jpg` and `.jpeg` files in it and below, in the order of their paths (`FolderWalk`).
/// - `-` stands for standard input, which has one of these a line.
///
/// Holds one image in memory at a time; of an archive a few, of a pickle all.
package final class ImageSource {
    private enum Current {
        case nothing
        case folder(FolderWalk)
        case shard(TarShard)
        case cifar(CIFARFile)
        case pickle(CIFARPickle)
    }

    private var inputs: [[UInt8]]
    private var list: PathList?
    private var current = Current.nothing
    private let limit: Int
    private let openList: () throws(DatasetError) -> InputFile

    /// Images of more than `limit` bytes are an error.
    package convenience init(_ inputs: [String], limit: Int = 32 << 20) {
        self.init(inputs, limit: limit) { () throws(DatasetError) in InputFile() }
    }

    /// For `-`, the list is read from the file `list`.
    package convenience init(_ inputs: [String], limit: Int = 32 << 20, list: String) {
        self.init(inputs, limit: limit) { () throws(DatasetError) in try InputFile(Array(list.utf8)) }
    }

    private init(_ inputs: [String], limit: Int, openList: @escaping () throws(DatasetError) -> InputFile) {
        self.inputs = inputs.reversed().map { Array($0.utf8) }
        self.limit = max(0, limit)
        self.openList = openList
    }

    /// The next image, or nil at the end.
    ///
    /// Throws: about one input, folder, archive or member. Calling again goes on behind it.
    package func next() throws(DatasetError) -> DatasetItem? {
        while true {
            if let item = try nextOfCurrent() { return item }
            current = .nothing
            guard let path = try nextInput() else { return nil }
            if let item = try begin(path) { return item }
        }
    }

    private func nextOfCurrent() throws(DatasetError) -> DatasetItem? {
        switch current {
        case .nothing:
            return nil
        case .folder(var walk):
            current = .nothing
            defer { current = .folder(walk) }
            return try walk.next()
        case .shard(var shard):
            current = .nothing
            defer { current = .shard(shard) }
            return try shard.next()
        case .cifar(var file):
            current = .nothing
            defer { current = .cifar(file) }
            return try file.next()
        case .pickle(var file):
            current = .nothing
            defer { current = .pickle(file) }
            return file.next()
        }
    }

    private func nextInput() throws(DatasetError) -> [UInt8]? {
        while true {
            if list != nil {
                if let path = try list?.next() { return path }
                list = nil
            }
            guard let input = inputs.popLast() else { return nil }
            guard input == [UInt8(ascii: "-")] else { return input }
            list = PathList(try openList())
        }
    }

    /// A file is an item at once; what has many becomes the current one.
    private func begin(_ path: [UInt8]) throws(DatasetError) -> DatasetItem? {
        let name = String(decoding: path, as: UTF8.self)
        let kind = PathKind(path)
        switch kind {
        case nil:
            throw .unreadable(path: name, reason: InputFile.reason)
        case .folder:
            current = .folder(try FolderWalk(path, limit: limit))
            return nil
        case .file, .other:
            if path.hasSuffix(".tar") {
                current = .shard(try TarShard(path, limit: limit))
                return nil
            }
            if path.hasSuffix(".tar.gz") || path.hasSuffix(".tgz") {
                throw .unreadable(path: name, reason: "compressed archives are not read; unpack it with gunzip first")
            }
            if let cifar = try CIFARFile(path) {
                current = .cifar(cifar)
                return nil
            }
            // Only files are looked into: a pipe gives its bytes once. And no image is opened twice for it.
            if kind == .file, !path.isImageName, let pickle = try CIFARPickle(path) {
                current = .pickle(pickle)
                return nil
            }
            return DatasetItem(id: name, label: nil, content: .file(path: path, limit: limit))
        }
    }
}
