import Datasets
import Foundation
import Imaging
import Testing

struct CIFARPickleTests {
    private static let python = ProcessInfo.processInfo.environment["P4Q_PYTHON"]

    /// An image whose red is 1 plus the place in its row, green the row, blue `blue`.
    private func pixels(blue: UInt8) -> [UInt8] {
        (0..<1024).map { UInt8($0 % 32 + 1) } + (0..<1024).map { UInt8($0 / 32) } + (0..<1024).map { _ in blue }
    }

    private func short(_ text: String) -> [UInt8] { [UInt8(ascii: "U"), UInt8(text.utf8.count)] + Array(text.utf8) }

    private func length(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } }

    /// As Python 2's cPickle wrote the files that are on the web: protocol 2, NumPy's old module names, content as a byte string.
    private func pythonTwo(_ labelField: String, labels: [UInt8], images: [[UInt8]], type: String = "u1") -> [UInt8] {
        let content = images.flatMap { $0 }
        var bytes: [UInt8] =
            [0x80, 2] + Array("}q".utf8) + [1] + Array("(".utf8) + short("batch_label") + Array("q".utf8) + [2] + short("one of 5")
        bytes +=
            short(labelField) + Array("]q".utf8) + [5] + Array("(".utf8) + labels.flatMap { [UInt8(ascii: "K"), $0] } + Array("e".utf8)
        bytes += short("data") + Array("cnumpy.core.multiarray\n_reconstruct\nq".utf8) + [7] + Array("cnumpy\nndarray\nq".utf8) + [8]
        bytes += Array("K".utf8) + [0, 0x85] + short("b") + [0x87] + Array("R(K".utf8) + [1] + Array("K".utf8) + [UInt8(images.count)]
        bytes +=
            Array("M".utf8) + [0, 12, 0x86] + Array("cnumpy\ndtype\n".utf8) + short(type) + Array("K".utf8) + [0] + Array("K".utf8) + [
                1, 0x87,
            ]
        bytes += Array("R(K".utf8) + [3] + short("|") + Array("NNNJ".utf8) + [255, 255, 255, 255] + Array("J".utf8) + [255, 255, 255, 255]
        bytes += Array("K".utf8) + [0] + Array("tb".utf8) + [0x89] + Array("T".utf8) + length(content.count) + content + Array("tbu.".utf8)
        return bytes
    }

    private func blues(_ found: Collected) throws -> [UInt8] {
        try found.bytes.map { bytes in
            let image = try bytes.withUnsafeBytes { try ImageDecoder().decode($0) }
            #expect(image.width == 32 && image.height == 32)
            let all = image.withPixels(Array.init)
            for place in 0..<1024 { #expect(Array(all[place * 3..<place * 3 + 2]) == [UInt8(place % 32 + 1), UInt8(place / 32)]) }
            return all[2]
        }
    }

    @Test(arguments: [("labels", "batches.meta", "label_names"), ("fine_labels", "meta", "fine_label_names")])
    func `what Python 2 pickled comes as PNG with its labels`(field: String, meta: String, names: String) throws {
        let folder = try TestFolder()
        let file = try folder.write("data_batch_1", pythonTwo(field, labels: [3, 200], images: [pixels(blue: 7), pixels(blue: 8)]))
        let plain = Collected(ImageSource([file]))
        #expect(plain.errors.isEmpty && plain.labels == ["3", "200"] && plain.ids == ["\(file)#0", "\(file)#1"])
        #expect(try blues(plain) == [7, 8])
        let list = Array("(".utf8) + ["a", "b", "c", "cat"].flatMap { short($0) } + Array("e".utf8)
        try folder.write(meta, [0x80, 2] + Array("}(".utf8) + short(names) + Array("]".utf8) + list + Array("u.".utf8))
        #expect(Collected(ImageSource([file])).labels == ["cat", "200"])
    }

    @Test func `a pickle of something else, or a damaged one, is an error that says so`() throws {
        let folder = try TestFolder()
        let good = pythonTwo("labels", labels: [3], images: [pixels(blue: 7)])
        var evil = good
        let name = try #require(evil.firstRange(of: Array("cnumpy\nndarray".utf8)))
        evil.replaceSubrange(name, with: Array("cposix\nsystem ".utf8))
        let cases: [([UInt8], String)] = [
            (Array(good.dropLast(2000)) + Array(".".utf8), "middle of a value"),
            (pythonTwo("labels", labels: [3, 4], images: [pixels(blue: 7)]), "1 images, but 2 labels"),
            (pythonTwo("names", labels: [3], images: [pixels(blue: 7)]), "no list `labels`"),
            (pythonTwo("labels", labels: [3], images: [pixels(blue: 7)], type: "f4"), "something but bytes"),
            (evil, "posix.system"),
            ([0x80, 2] + Array("}.".utf8), "no array `data`"),
            ([0x80, 4] + Array("(((((.".utf8), "no dictionary"),
        ]
        for (bytes, reason) in cases {
            let found = Collected(ImageSource([try folder.write("batch", bytes)]))
            #expect(found.ids.isEmpty && found.errors.count == 1 && "\(found.errors)".contains(reason), "\(found.errors) for \(reason)")
        }
        for end in stride(from: 3, to: good.count - 4, by: 7) {
            let found = Collected(ImageSource([try folder.write("cut", Array(good.prefix(end)) + Array(".".utf8))]))
            #expect(found.ids.isEmpty && found.errors.count == 1)
        }
    }

    /// A pipe gives its bytes once: who looks into it first leaves nothing.
    @Test func `an image that comes through a pipe is whole`() throws {
        let folder = try TestFolder()
        let pipe = folder.path + "/pipe"
        try #require(mkfifo(pipe, 0o600) == 0)
        let content = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
        let writer = Thread { try? FileHandle(forWritingAtPath: pipe)?.write(contentsOf: Data(content)) }
        writer.start()
        let found = Collected(ImageSource([pipe]))
        #expect(found.errors.isEmpty && found.ids == [pipe] && found.bytes == [content])
    }

    @Test(.enabled(if: python != nil, "P4Q_PYTHON names no Python with NumPy"), arguments: [2, 3, 4, 5])
    func `what Python 3 and NumPy pickle is read`(protocolVersion: Int) throws {
        let folder = try TestFolder()
        let file = folder.path + "/test"
        let program = """
            import numpy, pickle, sys
            plane = numpy.arange(1024)
            image = lambda blue: numpy.concatenate([plane % 32 + 1, plane // 32, plane * 0 + blue])
            data = numpy.stack([image(b) for b in (7, 8, 9)]).astype(numpy.uint8)
            value = {'fine_labels': [2, 0, 1], 'coarse_labels': [0, 0, 0], 'data': data, 'filenames': ['a', 'b', 'c']}
            pickle.dump(value, open(sys.argv[1], 'wb'), protocol=\(protocolVersion))
            pickle.dump({'fine_label_names': ['x', 'y', 'z']}, open(sys.argv[2], 'wb'), protocol=\(protocolVersion))
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.python))
        process.arguments = ["-c", program, file, folder.path + "/meta"]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        let found = Collected(ImageSource([file]))
        #expect(found.errors.isEmpty && found.labels == ["z", "x", "y"], "\(found.errors)")
        #expect(try blues(found) == [7, 8, 9])
    }
}
