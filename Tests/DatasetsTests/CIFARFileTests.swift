import Datasets
import Imaging
import Testing

struct CIFARFileTests {
    /// A record whose red is 1 plus the place in its row, green the row, blue `blue`.
    private func record(_ labels: [UInt8], blue: UInt8) -> [UInt8] {
        let places = 0..<1024
        return labels + places.map { UInt8($0 % 32 + 1) } + places.map { UInt8($0 / 32) } + places.map { _ in blue }
    }

    @Test(arguments: [([UInt8(3)], "batches.meta.txt"), ([UInt8(9), 3], "fine_label_names.txt")])
    func `a binary file's images come as PNG with their labels`(labels: [UInt8], meta: String) throws {
        let folder = try TestFolder()
        let file = try folder.write("data_batch_1.bin", record(labels, blue: 7) + record(labels.dropLast() + [200], blue: 8))
        let plain = Collected(ImageSource([file]))
        #expect(plain.errors.isEmpty && plain.labels == ["3", "200"] && plain.ids == ["\(file)#0", "\(file)#1"])
        for (index, bytes) in plain.bytes.enumerated() {
            let image = try bytes.withUnsafeBytes { try ImageDecoder().decode($0) }
            #expect(image.width == 32 && image.height == 32)
            let pixels = image.withPixels(Array.init)
            for place in 0..<1024 {
                #expect(Array(pixels[place * 3..<place * 3 + 3]) == [UInt8(place % 32 + 1), UInt8(place / 32), UInt8(7 + index)])
            }
        }
        try folder.write(meta, Array("a\nb\nc\ncat\n\n".utf8))
        #expect(Collected(ImageSource([file])).labels == ["cat", "200"])
    }

    @Test func `a file of another length is taken for an image`() throws {
        let folder = try TestFolder()
        let file = try folder.write("x.bin", Array(record([1], blue: 0).dropLast()))
        let found = Collected(ImageSource([file]))
        #expect(found.ids == [file] && found.labels == [nil] && found.errors.isEmpty)
    }
}
