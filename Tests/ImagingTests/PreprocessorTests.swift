import Foundation
import Imaging
import Tensors
import Testing

@Suite struct PreprocessorTests {
    static func noise(_ width: Int, _ height: Int, seed: UInt64 = 1) throws -> RGBImage {
        var generator = SeededGenerator(state: seed)
        // Black and white beside each other make the filter overshoot; both ends must clip.
        let pixels = (0..<(width * height * 3)).map { _ -> UInt8 in
            let value = UInt8.random(in: 0...255, using: &generator)
            return value < 64 ? 0 : value > 192 ? 255 : value
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    /// The whole resize by the definition, then the crop, without any of the shortcuts.
    static func reference(
        _ image: RGBImage, _ side: Int, _ size: (width: Int, height: Int), _ support: Double, _ filter: (Double) -> Double
    )
        -> [UInt8]
    {
        let across = weights(image.width, size.width, support, filter), down = weights(image.height, size.height, support, filter)
        var rows = [[UInt8]](), input = image.samples[...]
        for _ in 0..<image.height {
            rows.append(resampled(Array(input.prefix(image.width * 3)), across))
            input = input.dropFirst(image.width * 3)
        }
        let columns = (0..<(size.width * 3)).map { column in rows.map { $0[column] } }
        let results: [[UInt8]] = columns.map { column in
            guard let down else { return column }
            return down.map { sum($0, column, 1, 0) }
        }
        var crop = [UInt8](repeating: 0, count: side * side * 3)
        for y in 0..<side {
            for x in 0..<side {
                let (fromX, fromY) = (x + offset(size.width, side), y + offset(size.height, side))
                guard (0..<size.width).contains(fromX), (0..<size.height).contains(fromY) else { continue }
                for c in 0..<3 {
                    let column = results[fromX * 3 + c]
                    crop[(y * side + x) * 3 + c] = column[fromY]
                }
            }
        }
        return crop
    }

    private static func offset(_ size: Int, _ side: Int) -> Int { size >= side ? (size - side) / 2 : -((side - size + 1) / 2) }

    private typealias Taps = (first: Int, weights: [Int])

    private static func weights(_ inputs: Int, _ outputs: Int, _ support: Double, _ filter: (Double) -> Double) -> [Taps]? {
        if inputs == outputs { return nil }
        let scale = Double(inputs) / Double(outputs), stretch = max(1, scale)
        return (0..<outputs).map { output in
            let center = (Double(output) + 0.5) * scale
            let first = max(0, Int(center - support * stretch + 0.5)), last = min(inputs, Int(center + support * stretch + 0.5))
            let raw = (first..<last).map { filter((Double($0) - center + 0.5) * (1 / stretch)) }
            let total = raw.reduce(0, +)
            return (first, raw.map { Int(($0 / total * 4_194_304).rounded(.toNearestOrAwayFromZero)) })
        }
    }

    private static func sum(_ taps: Taps, _ values: [UInt8], _ step: Int, _ channel: Int) -> UInt8 {
        let total = taps.weights.enumerated().reduce(1 << 21) { $0 + $1.element * Int(values[(taps.first + $1.offset) * step + channel]) }
        return UInt8(min(max(total >> 22, 0), 255))
    }

    private static func resampled(_ row: [UInt8], _ taps: [Taps]?) -> [UInt8] {
        guard let taps else { return row }
        return taps.flatMap { tap in (0..<3).map { sum(tap, row, 3, $0) } }
    }

    private static func cubic(_ distance: Double) -> Double {
        let x = abs(distance)
        return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0
    }

    static let sizes = [
        (1, 1), (1, 2), (2, 1), (7, 7), (6, 7), (7, 8), (8, 7), (13, 7), (7, 29), (31, 17), (40, 100), (100, 40), (64, 64), (1, 40),
        (53, 1),
        (150, 149),
    ]

    @Test(arguments: sizes) func `a crop is the whole resize's middle, on every instruction set`(width: Int, height: Int) throws {
        let image = try Self.noise(width, height)
        for side in [1, 7, 8, 32] {
            let configuration = PreprocessorConfiguration(side: side)
            let size = try ImagePreprocessor(configuration).resizedSize(width: width, height: height)
            let expected = Self.reference(image, side, size, 2, Self.cubic)
            for set in InstructionSet.supported {
                let found = try ImagePreprocessor(configuration, instructionSet: set).crop(image)
                #expect(found == expected, "side \(side), \(set)")
            }
        }
    }

    @Test func `bilinear, exact sizes, no resize, and crops larger than the picture`() throws {
        for (json, size) in [
            (#"{"resample": 2, "size": {"height": 9, "width": 14}, "crop_size": 12}"#, (14, 9)),
            (#"{"resample": 2, "do_resize": false, "crop_size": {"height": 11, "width": 11}}"#, (30, 10)),
            (#"{"resample": 2, "size": {"shortest_edge": 5}, "crop_size": 8}"#, (15, 5)),
            (#"{"resample": 2, "size": 6, "crop_size": 9}"#, (18, 6)),
            (#"{"resample": 2, "size": {"height": 10, "width": 10}, "do_center_crop": false}"#, (10, 10)),
            (#"{"resample": 2, "size": {"height": 10, "width": 12}, "crop_size": 4}"#, (12, 10)),
        ] {
            let preprocessor = try ImagePreprocessor(PreprocessorConfiguration(json: Data(json.utf8), side: 16))
            let image = try Self.noise(30, 10)
            let expected = Self.reference(image, preprocessor.side, size, 1) { max(0, 1 - abs($0)) }
            #expect(preprocessor.crop(image) == expected, "\(json)")
        }
    }

    @Test func `only what survives the crop is resampled`() throws {
        let image = try Self.noise(1, 1000)
        let preprocessor = try ImagePreprocessor(PreprocessorConfiguration(side: 224))
        #expect(preprocessor.resizedSize(width: 1, height: 1000) == (224, 224_000))
        let start = ContinuousClock.now
        #expect(preprocessor.crop(image).count == 224 * 224 * 3)
        // The whole of it, 150 million samples, would take far longer.
        #expect(ContinuousClock.now - start < .seconds(1))
    }

    @Test func `a workspace changes nothing`() throws {
        let preprocessor = try ImagePreprocessor(PreprocessorConfiguration(side: 24))
        let workspace = ImageWorkspace()
        for (width, height) in Self.sizes + Self.sizes.reversed() {
            let image = try Self.noise(width, height)
            var crop = [UInt8](repeating: 77, count: preprocessor.sampleCount)
            crop.withUnsafeMutableBufferPointer { preprocessor.crop(image, into: $0, workspace: workspace) }
            #expect(crop == preprocessor.crop(image))
        }
    }

    @Test func `normalised values are rescaled, centred, scaled, and planes lie one after the other`() throws {
        let json = #"{"image_mean": [0.5, 0.25, 0], "image_std": [0.5, 0.125, 2], "rescale_factor": 0.0078125, "crop_size": 2, "size": 2}"#
        let preprocessor = try ImagePreprocessor(PreprocessorConfiguration(json: Data(json.utf8), side: 2))
        let crop: [UInt8] = [0, 1, 2, 64, 128, 255, 3, 4, 5, 6, 7, 8]
        var found = [Float](repeating: 0, count: 12)
        crop.withUnsafeBufferPointer { crop in found.withUnsafeMutableBufferPointer { preprocessor.normalize(crop, into: $0) } }
        let means: [Double] = [0.5, 0.25, 0]
        let deviations: [Double] = [0.5, 0.125, 2]
        var expected: [Float] = []
        for channel in 0..<3 {
            for pixel in 0..<4 {
                let value = Double(crop[pixel * 3 + channel]) / 128
                expected.append(Float((value - means[channel]) / deviations[channel]))
            }
        }
        #expect(found == expected)
        let off = #"{"do_rescale": false, "do_normalize": false}"#
        #expect(try ImagePreprocessor(PreprocessorConfiguration(json: Data(off.utf8), side: 2)).normalization[200] == 200)
    }

    @Test func `what a file leaves out is CLIP's own`() throws {
        let plain = PreprocessorConfiguration(side: 336)
        #expect(try PreprocessorConfiguration(json: Data("{}".utf8), side: 336) == plain)
        let published = """
            {"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true, "feature_extractor_type": "CLIPFeatureExtractor",
             "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224}
            """
        #expect(try PreprocessorConfiguration(json: Data(published.utf8), side: 224) == PreprocessorConfiguration(side: 224))
    }

    @Test(arguments: [
        ("[]", "file"), ("{", "file"), (#"{"size": "big"}"#, "size"), (#"{"size": -3}"#, "size"),
        (#"{"size": {"shortest_edge": 0}}"#, "size.shortest_edge"),
        (#"{"size": {"longest_edge": 3}}"#, "size"), (#"{"crop_size": {"height": 3, "width": 4}}"#, "crop_size"),
        (#"{"resample": 1}"#, "resample"),
        (#"{"image_mean": [1, 2]}"#, "image_mean"), (#"{"image_std": [1, 0, 1]}"#, "image_std"), (#"{"do_resize": "yes"}"#, "do_resize"),
        (#"{"do_center_crop": false}"#, "do_center_crop"), (#"{"size": 100000000000}"#, "size"),
        (#"{"rescale_factor": "x"}"#, "rescale_factor"),
    ])
    func `a malformed configuration is refused by its key`(json: String, key: String) {
        let error = #expect(throws: ImagingError.self) { try PreprocessorConfiguration(json: Data(json.utf8), side: 224) }
        guard case .configuration(key, _) = error else {
            Issue.record("\(json): \(String(describing: error))")
            return
        }
    }
}
