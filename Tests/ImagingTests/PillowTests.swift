import Foundation
import Imaging
import TestSupport
import Testing

/// Pillow itself, run on the same files: `P4Q_PYTHON` names a Python that has it, with NumPy.
enum Pillow {
    static let python = ProcessInfo.processInfo.environment["P4Q_PYTHON"]
    static let skipReason = "P4Q_PYTHON names no Python that has Pillow and NumPy"
    static let isPresent: Bool = {
        guard let python else { return false }
        return (try? run(python, "import PIL, numpy", [])) == 0
    }()

    /// Writes FILE.rgb and FILE.crop beside each file of `folder`, or FILE.error.
    private static let script = """
        import os, struct, sys, warnings
        import numpy as np
        from PIL import Image, ImageOps
        warnings.simplefilter("ignore")
        folder, out = sys.argv[1:]
        for name in sorted(os.listdir(folder)):
            path = os.path.join(out, name)
            try:
                image = ImageOps.exif_transpose(Image.open(os.path.join(folder, name)))
                if image.mode.startswith("I;16"):
                    image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
                image = image.convert("RGB")
            except Exception as error:
                open(path + ".error", "w").write(str(error))
                continue
            w, h = image.size
            open(path + ".rgb", "wb").write(struct.pack("<II", w, h) + np.asarray(image).tobytes())
            size = (224, 224 * h // w) if w <= h else (224 * w // h, 224)
            if size[0] * size[1] > 4000000: continue
            left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
            crop = image.resize(size, Image.BICUBIC).crop((left, top, left + 224, top + 224))
            open(path + ".crop", "wb").write(np.asarray(crop).tobytes())
        """

    static func read(_ folder: URL, into out: URL) throws {
        let status = try run(python ?? "", script, [folder.path, out.path])
        try #require(status == 0, "Pillow ran")
    }

    private static func run(_ python: String, _ code: String, _ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = ["-c", code] + arguments
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}

@Suite(.enabled(if: Pillow.isPresent, "\(Pillow.skipReason)")) struct PillowTests {
    /// Decodes every file of `folder` with both and compares. Where one refuses a file, `mayRefuse` says whether the other may not.
    private func compare(_ folder: URL, sameVerdicts: Bool) throws {
        let out = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-pillow-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: out, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: out) }
        try Pillow.read(folder, into: out)
        let preprocessor = try ImagePreprocessor(PreprocessorConfiguration(side: 224))
        var samples = 0, unequal = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() {
            let file = try Data(contentsOf: folder.appendingPathComponent(name))
            let theirs = try? Data(contentsOf: out.appendingPathComponent(name + ".rgb"))
            guard let image = try? ImageDecoder().decode(file) else {
                #expect(theirs == nil || !sameVerdicts, "only Pillow decodes \(name)")
                continue
            }
            guard let theirs else {
                #expect(!sameVerdicts, "Pillow refuses \(name)")
                continue
            }
            let size = [image.width, image.height].flatMap { value in withUnsafeBytes(of: UInt32(value).littleEndian) { Array($0) } }
            try #require(Array(theirs.prefix(8)) == size, "\(name)")
            let (found, expected) = (image.samples, Array(theirs.dropFirst(8)))
            samples += found.count
            if found == expected {
                guard let crop = try? Data(contentsOf: out.appendingPathComponent(name + ".crop")) else { continue }
                #expect(preprocessor.crop(image) == Array(crop), "\(name)")
                continue
            }
            let differences = zip(found, expected).map { abs(Int($0) - Int($1)) }.filter { $0 > 0 }
            #expect(differences.allSatisfy { $0 == 1 }, "\(name)")
            unequal += differences.count
        }
        // Another libjpeg than libjpeg-turbo may round a few samples differently, by one.
        #expect(samples > 0 && unequal * 1000 <= samples, "\(unequal) of \(samples) samples differ")
        print("Pillow and this program: \(samples) samples, \(unequal) unequal")
    }

    @Test(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
    func `photographs are Pillow's, bit for bit`() throws {
        try compare(SharedFolder.file("data/photos"), sameVerdicts: true)
    }

    @Test func `made-up pictures, orientations and truncated files are Pillow's`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-images-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ bytes: [UInt8]) throws { try Data(bytes).write(to: folder.appendingPathComponent(name)) }
        var generator = SeededGenerator(state: 11)
        for (color, depths) in [(0, [1, 2, 4, 8, 16]), (2, [8, 16]), (3, [1, 2, 4, 8]), (4, [8, 16]), (6, [8, 16])] {
            for depth in depths {
                for interlaced in [false, true] {
                    let (width, height) = (Int.random(in: 1...90, using: &generator), Int.random(in: 1...90, using: &generator))
                    var file = PNGFile.random(
                        width: width, height: height, depth: depth, color: color, interlaced: interlaced, using: &generator)
                    file.before = [("eXIf", exif(orientation: .random(in: 0...9, using: &generator), bigEndian: interlaced))]
                    if color == 0 { file.before.append(("tRNS", [0, 1])) }
                    try write("png-\(color)-\(depth)-\(interlaced).png", file.bytes)
                }
            }
        }
        for fixture in JPEGFixture.all {
            try write("\(fixture.name).jpg", fixture.bytes)
            for type: UInt16 in [1, 2, 3, 4, 6, 7, 8, 9, 11] {
                let segment =
                    Array("Exif\0\0".utf8) + exif(orientation: .random(in: 1...8, using: &generator), type: type, bigEndian: type % 2 == 0)
                try write("\(fixture.name)-\(type).jpg", jpeg(fixture.bytes, applicationSegments: [segment]))
            }
            for _ in 0..<40 {
                let count = Int.random(in: 1..<fixture.bytes.count, using: &generator)
                try write("\(fixture.name)-cut-\(count).jpg", Array(fixture.bytes.prefix(count)))
            }
        }
        try compare(folder, sameVerdicts: true)
    }

    @Test func `damaged JPEGs that both decode are equal`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-damaged-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var generator = SeededGenerator(state: 12)
        for fixture in JPEGFixture.all {
            for index in 0..<60 {
                var bytes = fixture.bytes
                bytes[Int.random(in: 2..<bytes.count, using: &generator)] ^= 1 << UInt8.random(in: 0...7, using: &generator)
                try Data(bytes).write(to: folder.appendingPathComponent("\(fixture.name)-\(index).jpg"))
            }
        }
        try compare(folder, sameVerdicts: false)
    }
}
