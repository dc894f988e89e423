import Foundation
import Testing

import Datasets

@Suite struct TarWriterTests {
    @Test func `What is written is read back: names, labels and bytes, of sizes around a block`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-tar-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("a.tar").path
        let sizes = [0, 1, 511, 512, 513, 5000]
        let writer = try Datasets.TarWriter(path: path)
        for size in sizes {
            try writer.add("\(size).png", [UInt8](repeating: UInt8(size % 251), count: size))
            try writer.add("\(size).cls", Array("fish".utf8))
        }
        try writer.finish()
        let source = ImageSource([path])
        for size in sizes {
            let item = try #require(try source.next())
            #expect(item.id == "\(size).png" && item.label == "fish")
            #expect(try item.load() == [UInt8](repeating: UInt8(size % 251), count: size))
        }
        #expect(try source.next() == nil)
    }

    @Test func `An archive that can't be made is an error that names it`() {
        #expect(throws: DatasetError.self) { try Datasets.TarWriter(path: "/nowhere/at/all.tar") }
    }
}
