import ArgumentParser
import Datasets
import Drawing
import Foundation
import Imaging
import Tensors

extension DrawingDomain: ExpressibleByArgument {}
extension Scene.Split: ExpressibleByArgument {}

/// `p4q draw`: pictures of the drawn world, with labels and captions.
struct Draw: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw sample pictures with labels and captions, and the class set of everything that is drawn.",
        discussion: """
            A folder becomes KIND/NUMBER.png (or .jpg); FILE.tar becomes a WebDataset shard with .cls and .txt (the caption) beside each \
            picture. Both get a class set: classes.yaml in the folder, FILE.yaml beside the archive. The same seed draws the same pictures \
            on every machine.
            """)

    @Option(name: .long, help: "How many pictures.")
    var count: Int

    @Option(name: .long, help: "world: clean drawings; field: noisy, blurred, badly lit, sketched ones, compressed hard.")
    var domain = DrawingDomain.world

    @Option(
        name: .long,
        help: "Combinations of kind, colour and texture: training (which the built-in model has seen), held-out, or all.")
    var split = Scene.Split.all

    @Option(name: .long, help: "png or jpeg.")
    var format = Format.png

    @Option(name: .long, help: "JPEG's quality, 1 to 100.")
    var quality = 90

    @Option(name: .long, help: "What the pictures depend on.")
    var seed: UInt64 = 0

    @Option(name: .long, help: "The folder to write, or an archive FILE.tar.", completion: .directory)
    var out: String

    @OptionGroup var threading: ThreadOptions

    @Flag(name: .shortAndLong, help: "No progress and no remarks on stderr.")
    var quiet = false

    enum Format: String, ExpressibleByArgument, CaseIterable { case png, jpeg }

    func validate() throws {
        if count < 1 { throw ValidationError("--count must be at least 1") }
        if !(1...100).contains(quality) { throw ValidationError("--quality must be from 1 to 100") }
    }

    func run() async throws {
        let sink: any PictureSink = out.hasSuffix(".tar") ? try ShardSink(out) : try FolderSink(out)
        let pool = threading.makePool()
        var progress = Progress("drawn", total: count, isQuiet: quiet)
        let run = 64
        for start in stride(from: 0, to: count, by: run) {
            for picture in try draw(start..<min(start + run, count), pool) { try sink.add(picture) }
            progress.update(start)
        }
        try sink.finish()
        progress.finish(count)
        Notices(isQuiet: quiet).note("wrote \(count) pictures of \(Kind.allCases.count) kinds to \(out)")
    }

    private func draw(_ indices: Range<Int>, _ pool: ThreadPool) throws -> [Picture] {
        let encoding: ImageFile.Encoding = format == .png ? .png : .jpeg(quality: quality)
        var results = [Result<Picture, any Error>?](repeating: nil, count: indices.count)
        results.withUnsafeMutableBufferPointer { results in
            // Safe: each call writes the place of its own index.
            nonisolated(unsafe) let results = results
            pool.forEach(indices.count) { offset in
                let index = indices.lowerBound + offset
                results[offset] = Result { try picture(index, encoding) }
            }
        }
        return try results.compactMap { try $0?.get() }
    }

    private func picture(_ index: Int, _ encoding: ImageFile.Encoding) throws -> Picture {
        let scene = Scene(seed: seed, index: UInt64(index), split: split)
        let pixels = try DrawnPicture.pixels(scene, domain: domain)
        let file = try ImageFile.encode(pixels, width: DrawnPicture.side, height: DrawnPicture.side, as: encoding)
        let digits = String(index)
        return Picture(
            number: String(repeating: "0", count: max(0, 6 - digits.count)) + digits, label: scene.kind.rawValue,
            caption: Caption(scene).text, file: file, suffix: format == .png ? "png" : "jpg")
    }
}

private struct Picture: Sendable {
    let number: String
    let label: String
    let caption: String
    let file: [UInt8]
    let suffix: String
}

/// Where pictures go.
private protocol PictureSink {
    func add(_ picture: Picture) throws
    func finish() throws
}

/// A folder for each kind, and `classes.yaml`.
private struct FolderSink: PictureSink {
    private let folder: URL

    init(_ path: String) throws {
        folder = URL(fileURLWithPath: path)
        for kind in Kind.allCases {
            try OutputFile.makeFolder(folder.appendingPathComponent(kind.rawValue))
        }
    }

    func add(_ picture: Picture) throws {
        try OutputFile.write(
            Data(picture.file),
            to: folder.appendingPathComponent(picture.label).appendingPathComponent("\(picture.number).\(picture.suffix)"))
    }

    func finish() throws { try OutputFile.write(Data(DrawnClassSet.yaml.utf8), to: folder.appendingPathComponent("classes.yaml")) }
}

/// A WebDataset shard, and the class set beside it.
private struct ShardSink: PictureSink {
    private let path: String
    private let tar: TarWriter

    init(_ path: String) throws {
        self.path = path
        tar = try TarWriter(path: path)
    }

    func add(_ picture: Picture) throws {
        try tar.add("\(picture.number).\(picture.suffix)", picture.file)
        try tar.add("\(picture.number).cls", Array(picture.label.utf8))
        try tar.add("\(picture.number).txt", Array(picture.caption.utf8))
    }

    func finish() throws {
        try tar.finish()
        try OutputFile.write(Data(DrawnClassSet.yaml.utf8), to: URL(fileURLWithPath: String(path.dropLast(4)) + ".yaml"))
    }
}
