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

    /// Pictures `range` of the stream, each with two captions: one that names its kind alone, as class templates do, and one that says
    /// more. Combinations that are held out never occur.
    ///
    /// - Parameter ease: how many of the pictures are simplified, 0 to 1.
    func batch(_ range: Range<UInt64>, ease: Double, pool: ThreadPool) throws -> ContrastiveBatch {
        let scenes = range.map { index in
            let scene = Scene(seed: seed, index: index, split: .training)
            var random = CounterRandom(seed: seed, index: index, purpose: .training)
            return random.chance(ease) ? scene.simplified() : scene
        }
        let captions = scenes.map { ($0, Caption($0, style: .full)) } + scenes.map { ($0, Caption($0, style: .bare, variant: 1)) }
        let prompts = try captions.map { try tokenizer.encode($0.1.text, contextLength: contextLength, truncating: false) }
        var matches: [Bool] = []
        matches.reserveCapacity(scenes.count * captions.count)
        for picture in scenes {
            for (scene, caption) in captions { matches.append(caption.isTrue(of: picture, insteadOf: scene)) }
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
