import Datasets
import Foundation
import Testing
import TestSupport

@Suite struct ImageSourceTests {
    @Test func `a file is an image by its given path, whatever its name`() throws {
        let folder = try TestFolder()
        let paths = [try folder.write("b", [1]), try folder.write("a.JPEG", [2, 2]), try folder.write("empty.png", [])]
        let found = Collected(ImageSource(paths))
        #expect(found.ids == paths && found.bytes == [[1], [2, 2], []] && found.labels == [nil, nil, nil] && found.errors.isEmpty)
    }

    @Test func `a folder gives its images and those below, sorted by path, with the folder's name as label`() throws {
        let folder = try TestFolder()
        for name in [
            "z.PNG", "cat/10.jpg", "cat/9.JPEG", "cat/notes.txt", "dog/deep/x.jpg", "cat.jpg", ".hidden/x.jpg", "dog/._1.jpg", "dog/ä.Jpg",
            "noimage", "jpg",
            "cat-2/1.png",
        ] { try folder.write(name, Array(name.utf8)) }
        let expected = ["cat-2/1.png", "cat.jpg", "cat/10.jpg", "cat/9.JPEG", "dog/deep/x.jpg", "dog/ä.Jpg", "z.PNG"]
        for suffix in ["", "/", "//"] {
            let found = Collected(ImageSource([folder.path + suffix]))
            #expect(found.ids == expected.map { folder.path + "/" + $0 })
            #expect(found.labels == ["cat-2", nil, "cat", "cat", "deep", "dog", nil])
            #expect(found.bytes == expected.map { Array($0.utf8) })
        }
    }

    @Test func `links are followed, but not in circles, and pipes are passed over`() throws {
        let folder = try TestFolder()
        try folder.write("real/1.jpg", [1])
        try folder.write("elsewhere", [2])
        let files = FileManager.default
        try files.createSymbolicLink(atPath: folder.path + "/real/circle", withDestinationPath: folder.path)
        try files.createSymbolicLink(atPath: folder.path + "/real/2.jpg", withDestinationPath: folder.path + "/elsewhere")
        try files.createSymbolicLink(atPath: folder.path + "/real/3.jpg", withDestinationPath: folder.path + "/nothing")
        #expect(mkfifo(folder.path + "/real/4.jpg", 0o600) == 0)
        let found = Collected(ImageSource([folder.path]))
        #expect(found.ids == ["/real/1.jpg", "/real/2.jpg"].map { folder.path + $0 })
        #expect(found.errors.isEmpty)
    }

    @Test func `names that are not UTF-8 are read`() throws {
        let folder = try TestFolder()
        let name = Array(folder.path.utf8) + [UInt8(ascii: "/"), 0xFF, 0xFE] + Array(".jpg".utf8)
        let descriptor = (name + [0]).map { CChar(bitPattern: $0) }.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { open($0, O_CREAT | O_WRONLY, 0o600) } ?? -1
        }
        #expect(write(descriptor, "x", 1) == 1 && close(descriptor) == 0)
        let found = Collected(ImageSource([folder.path]))
        #expect(found.bytes == [[UInt8(ascii: "x")]] && found.ids == [folder.path + "/\u{FFFD}\u{FFFD}.jpg"])
    }

    @Test func `what can't be read is an error of its own, and the rest is given`() throws {
        let folder = try TestFolder()
        let large = try folder.write("large.jpg", [UInt8](repeating: 0, count: 101))
        let exact = try folder.write("exact.jpg", [UInt8](repeating: 0, count: 100))
        let zipped = try folder.write("a.tar.gz", [0x1F, 0x8B])
        let found = Collected(ImageSource([folder.path + "/missing.jpg", large, zipped, exact, "a\u{0}b"], limit: 100))
        #expect(found.ids == [exact])
        #expect(found.errors.map(\.code) == ["dataset.unreadable", "dataset.too_large", "dataset.unreadable", "dataset.unreadable"])
        #expect(found.errors[0].description.contains("missing.jpg"))
        #expect(found.errors[1] == .tooLarge(item: large, bytes: 101, limit: 100))
    }

    @Test func `a list has one input a line`() throws {
        let folder = try TestFolder()
        let first = try folder.write("a b.jpg", [1])
        try folder.write("sub/x.png", [2])
        let long = String(repeating: "x", count: 5000)
        let list = try folder.write("list", Array("\(first)\r\n\n\(long)\n\(folder.path)/sub\n\(first)".utf8))
        let found = Collected(ImageSource([first, "-", first], list: list))
        #expect(found.bytes == [[1], [1], [2], [1], [1]])
        #expect(found.errors.map(\.code) == ["dataset.limit"])
    }

    @Test(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
    func `the test shard of CIFAR-10 has a label for each of its images`() throws {
        let source = ImageSource([try SharedFolder.file("data/cifar10/test.tar").path])
        var labels: [String: Int] = [:]
        var isJPEG = true
        while let item = try source.next() {
            labels[item.label ?? "", default: 0] += 1
            isJPEG = try item.load().starts(with: [0xFF, 0xD8]) && isJPEG
            #expect(item.id.hasPrefix((item.label ?? "") + "/"))
        }
        #expect(isJPEG && labels.count == 10 && labels[""] == nil && Set(labels.values).count == 1)
    }
}
