import Datasets
import Foundation
import Testing

@Suite struct TarShardTests {
    private let folder: TestFolder

    init() throws { folder = try TestFolder() }

    private func read(_ bytes: [UInt8], limit: Int = 1 << 20) throws -> Collected {
        // Written the quick way: some tests do it ten thousand times.
        let path = folder.path + "/shard.tar"
        let file = try #require(fopen(path, "w"))
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count && fclose(file) == 0)
        return Collected(ImageSource([path], limit: limit))
    }

    @Test func `members of one name are a sample, and its label is found before and behind the image`() throws {
        var tar = TarWriter()
        tar.add("000.cls", Array("7\n".utf8))
        tar.add("000.jpg", [1])
        tar.add("001.jpg", [2])
        tar.add("001.txt", Array("a cat \nsecond line".utf8))
        tar.add("s/002.json", Array(#"{"label": "dog", "x": [1]}"#.utf8))
        tar.add("s/002.PNG", [3])
        tar.add("s/003.json", Array(#"{"cls": 5}"#.utf8))
        tar.add("s/003.jpeg", [4])
        tar.add("s/003.txt", Array("caption".utf8))
        tar.add("s/004.json", Array("[broken".utf8))
        tar.add("s/004.jpg", [5])
        tar.add("005.jpg", [6])
        tar.add("005.cls", [0xFF, 0xFE])
        tar.end()
        let found = try read(tar.bytes)
        #expect(found.ids == ["000.jpg", "001.jpg", "s/002.PNG", "s/003.jpeg", "s/004.jpg", "005.jpg"])
        #expect(found.labels == ["7", "a cat", "dog", "5", "s", nil])
        #expect(found.bytes == (1...6).map { [$0] } && found.errors.isEmpty)
    }

    @Test func `without label files the folder is the label, and a path in front of it is not`() throws {
        var tar = TarWriter()
        for name in ["./train/cat/1.jpg", "dog/2.jpg", "3.jpg", "README.md"] { tar.add(name, Array(name.utf8)) }
        tar.end()
        let found = try read(tar.bytes)
        #expect(found.ids == ["train/cat/1.jpg", "dog/2.jpg", "3.jpg"] && found.labels == ["cat", "dog", nil])
    }

    @Test func `a thousand images whose names agree up to the first dot are all given, in order`() throws {
        var tar = TarWriter()
        for number in 0..<1000 { tar.add("img.\(number).jpg", [UInt8(number & 255)]) }
        tar.end()
        let found = try read(tar.bytes)
        #expect(found.ids == (0..<1000).map { "img.\($0).jpg" })
    }

    @Test func `long names come from prefix, GNU and pax headers`() throws {
        let long = String(repeating: "d", count: 120) + "/" + String(repeating: "f", count: 150) + ".jpg"
        var tar = TarWriter()
        tar.add("name.jpg", [1], prefix: "some/prefix")
        tar.add("old.jpg", [2], prefix: "not a prefix", magic: Array("ustar  \u{0}".utf8))
        tar.add("././@LongLink", Array((long + "\u{0}").utf8), type: "L")
        tar.add(String(long.prefix(100)), [3])
        tar.addPax([("mtime", "1.5"), ("path", "p/ä.jpg")])
        tar.add("short.jpg", [4])
        tar.addPax([("size", "3")])
        tar.add("sized.jpg", [5, 6, 7], size: Array("00000000000\u{0}".utf8))
        tar.add("binary.jpg", [8], size: [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        tar.end()
        let found = try read(tar.bytes)
        #expect(found.ids == ["some/prefix/name.jpg", "old.jpg", long, "p/ä.jpg", "sized.jpg", "binary.jpg"])
        #expect(found.bytes == [[1], [2], [3], [4], [5, 6, 7], [8]] && found.errors.isEmpty)
    }

    @Test func `links, folders and devices are passed over`() throws {
        var tar = TarWriter()
        tar.add("cat/", type: "5")
        for type: Character in ["1", "2", "3", "4", "6"] {
            // Links of old archives state the size of what they link to, and nothing follows.
            tar.add("x.jpg", type: type, size: Array("00000007777\u{0}".utf8))
        }
        tar.add("../../etc/1.jpg", [1], type: "7")
        tar.end()
        #expect(try read(tar.bytes).ids == ["../../etc/1.jpg"])
    }

    @Test func `a member above the limit is an error, and the others are given`() throws {
        var tar = TarWriter()
        tar.add("1.jpg", [1])
        tar.add("2.jpg", [UInt8](repeating: 2, count: 101))
        tar.add("3.jpg", [UInt8](repeating: 3, count: 100))
        tar.end()
        let found = try read(tar.bytes, limit: 100)
        #expect(found.ids == ["1.jpg", "3.jpg"])
        #expect(found.errors == [.tooLarge(item: "\(folder.path)/shard.tar: 2.jpg", bytes: 101, limit: 100)])
    }

    @Test(arguments: ["--format=gnu", "--format=pax", "--format=ustar", "--format=v7", "--format=posix"])
    func `archives of the system's tar are read`(format: String) throws {
        guard let tar = ["/bin/tar", "/usr/bin/tar"].first(where: FileManager.default.isExecutableFile) else { return }
        let name = format.hasSuffix("v7") ? "short" : String(repeating: "long", count: 20) + "/" + String(repeating: "name", count: 20)
        for (index, size) in [0, 1, 511, 512, 513, 300_000].enumerated() {
            try folder.write("in/\(name)/\(index).jpg", [UInt8](repeating: UInt8(index), count: size))
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: tar)
        process.arguments = [format, "--sort=name", "-C", folder.path + "/in", "-cf", folder.path + "/made.tar", "."]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let found = Collected(ImageSource([folder.path + "/made.tar"]))
        #expect(found.ids == (0..<6).map { "\(name)/\($0).jpg" } && found.errors.isEmpty)
        #expect(found.bytes.map(\.count) == [0, 1, 511, 512, 513, 300_000])
    }

    @Test func `every truncation gives the images before it and then a typed error`() throws {
        var tar = TarWriter()
        tar.add("1.jpg", [UInt8](repeating: 1, count: 700))
        tar.addPax([("path", "two.jpg")])
        tar.add("2.jpg", [2])
        tar.end()
        // After the second member's byte, and before the end mark is whole.
        let bytes = tar.bytes
        for length in 0..<(bytes.count - 1024 + 512) {
            let found = try read(Array(bytes[..<length]))
            #expect(found.errors.map(\.code) == ["dataset.truncated_archive"])
            #expect(found.ids.count == (length < 512 + 700 ? 0 : length < bytes.count - 1024 - 511 ? 1 : 2))
        }
        #expect(try read(bytes).errors.isEmpty)
    }

    @Test func `every flipped bit of a header is an error or another archive, never a trap`() throws {
        var tar = TarWriter()
        tar.addPax([("path", "two.jpg"), ("size", "2")])
        tar.add("2.jpg", [2, 3])
        tar.end()
        for bit in 0..<(1536 * 8) where bit / 8 < 700 || bit / 8 > 1024 {
            var bytes = tar.bytes
            bytes[bit / 8] ^= 1 << (bit % 8)
            let found = try read(bytes)
            // The checksum's own field has bits that say nothing: a space for a leading zero, what follows the digits.
            if bit < 512 * 8, !(148..<156).contains(bit / 8) { #expect(found.errors.map(\.code) == ["dataset.corrupt_archive"]) }
        }
    }

    @Test(arguments: [
        "", "5", "9999999 path=a\n", "12 path=a.jpg", "99999999 path=a\n", "6 path\n", "10 size=x\n", "11 size=-1\n", "8 path=\n",
        "-3 path=a\n", "x path=a\n", " \n",
    ])
    func `a pax header that is wrong is a typed error`(records: String) throws {
        var tar = TarWriter()
        tar.add("pax", Array(records.utf8), type: "x")
        tar.add("a.jpg", [1])
        tar.end()
        let found = try read(tar.bytes)
        #expect(found.errors.map(\.code) == (records.isEmpty ? [] : ["dataset.corrupt_archive"]))
        #expect(found.ids == (records.isEmpty ? ["a.jpg"] : []))
    }

    @Test(
        arguments: [
            [0x80, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0x80, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], Array("77777777777 ".utf8), Array("0000008\u{0}    ".utf8),
            Array("-1          ".utf8),
        ] as [[UInt8]])
    func `sizes that can't be are refused without being allocated`(size: [UInt8]) throws {
        for type: Character in ["0", "L", "x", "g", "Z"] {
            var tar = TarWriter()
            tar.add("a.jpg", [1], type: type, size: size)
            tar.end()
            let found = try read(tar.bytes)
            #expect(found.ids.isEmpty && !found.errors.isEmpty)
        }
    }
}
