internal import CLIP
internal import Drawing
internal import Imaging
internal import Tensors

/// The endless stream of drawn pictures with captions that pretraining learns from.
struct DrawnPairs: Sendable {
    let tokenizer: Tokenizer
    let preprocessor: ImagePreprocessor
    let seed: UInt64
    let contextLength: Int

    /// The captions of the stream's first pictures: what the vocabulary is learned from.
    static func captions(seed: UInt64, count: Int) -> [String] {
        (0..<UInt64(count)).map { Caption(Scene(seed: seed, index: $0, split: .training)).text }
    }

    /// Pairs `range` of the stream. Combinations that are held out never occur.
    func batch(_ range: Range<UInt64>, pool: ThreadPool) throws -> ContrastiveBatch {
        let scenes = range.map { Scene(seed: seed, index: $0, split: .training) }
        let captions = scenes.map { Caption($0) }
        let prompts = try captions.map { try tokenizer.encode($0.text, contextLength: contextLength, truncating: false) }
        var matches: [Bool] = []
        matches.reserveCapacity(scenes.count * scenes.count)
        for picture in scenes {
            for (scene, caption) in zip(scenes, captions) { matches.append(caption.isTrue(of: picture, insteadOf: scene)) }
        }
        return ContrastiveBatch(
            crops: try DrawnCrops.draw(scenes, domain: .world, preprocessor: preprocessor, pool: pool), prompts: prompts, matches: matches)
    }
}

/// Drawn pictures as a model takes them.
enum DrawnCrops {
    /// [scenes.count, side, side, 3]
    static func draw(
        _ scenes: [Scene], domain: DrawingDomain, preprocessor: ImagePreprocessor, pool: ThreadPool
    ) throws -> [UInt8] {
        var crops = [UInt8](repeating: 0, count: scenes.count * preprocessor.sampleCount)
        var failures = [ImagingError?](repeating: nil, count: scenes.count)
        crops.withUnsafeMutableBufferPointer { crops in
            failures.withUnsafeMutableBufferPointer { failures in
                // Safe: each call writes the places of its own scenes.
                nonisolated(unsafe) let (crops, failures) = (crops, failures)
                pool.forEachRange(scenes.count) { range in
                    let workspace = ImageWorkspace()
                    for index in range {
                        do throws(ImagingError) {
                            let side = DrawnPicture.side
                            let image = try RGBImage(
                                width: side, height: side, pixels: DrawnPicture.pixels(scenes[index], domain: domain))
                            let place = index * preprocessor.sampleCount
                            preprocessor.crop(
                                image, into: UnsafeMutableBufferPointer(rebasing: crops[place..<place + preprocessor.sampleCount]),
                                workspace: workspace)
                        } catch { failures[index] = error }
                    }
                }
            }
        }
        if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
        return crops
    }
}
