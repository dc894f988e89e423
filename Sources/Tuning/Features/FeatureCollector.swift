package import CLIP
internal import Crypto
package import Foundation
package import Imaging
internal import Synchronization
package import Tensors

/// Labelled images to features: each image once through each tower in each view, or out of the towers' stores.
package final class FeatureCollector {
    /// An image to be looked at.
    package struct Item: Sendable {
        package let id: String
        package let bytes: [UInt8]
        package let label: Int

        package init(id: String, bytes: [UInt8], label: Int) {
            self.id = id
            self.bytes = bytes
            self.label = label
        }
    }

    /// One tower's share.
    private struct Tower {
        let encoder: any ImageEncoder
        let store: FeatureStore
        var digests: [[UInt8]] = []
    }

    private struct Prepared {
        let digest: [UInt8]
        /// Nil where no tower needs it.
        let crop: [UInt8]?
    }

    /// Images that are decoded, and go through the towers, together.
    package static let batch = 64

    private var towers: [Tower]
    private let preprocessor: ImagePreprocessor
    private let decoder: ImageDecoder
    private let views: Int
    private let pool: ThreadPool
    private let workspaces: [ImageWorkspace]
    private var hash = SHA256()
    /// Of the images taken.
    package private(set) var labels: [Int] = []

    /// - Parameters:
    ///   - models: whose image towers look at the images; they preprocess alike.
    ///   - cache: the folder of the stores; nil keeps features in memory only.
    ///   - views: 1, or 2 for mirrored images too.
    /// - Throws: `TuningError.teacherMismatch` where they preprocess differently.
    package init(models: [CLIPModel], cache: URL?, views: Int, decoder: ImageDecoder, pool: ThreadPool) throws {
        guard let first = models.first else { preconditionFailure("at least one model looks at the images") }
        guard models.allSatisfy({ $0.preprocessor == first.preprocessor }) else {
            throw TuningError.teacherMismatch(reason: "it prepares images differently (preprocessor_config.json)")
        }
        preprocessor = try ImagePreprocessor(first.preprocessor)
        towers = models.map { model in
            let identity =
                "\(model.sha256) \(model.bits) \(model.preprocessor) orientation \(decoder.appliesOrientation) views \(views)"
            return Tower(
                encoder: model.imageEncoder,
                store: FeatureStore(folder: cache, identity: identity, length: views * model.imageEncoder.featureWidth))
        }
        self.views = views
        self.decoder = decoder
        self.pool = pool
        workspaces = (0..<pool.threads).map { _ in ImageWorkspace() }
    }

    /// Takes up to `batch` images; gives the errors of those that can't be read, which are left out.
    package func add(_ items: [Item]) -> [(id: String, error: ImagingError)] {
        let results = prepare(items)
        var failures: [(id: String, error: ImagingError)] = []
        var taken: [Prepared] = []
        for (item, result) in zip(items, results) {
            switch result {
            case .success(let image):
                taken.append(image)
                labels.append(item.label)
                hash.update(data: image.digest + withUnsafeBytes(of: UInt64(item.label).littleEndian, Array.init))
            case .failure(let error): failures.append((item.id, error))
            }
        }
        for index in towers.indices { run(index, taken) }
        return failures
    }

    /// The features of all images taken, tower after tower: [images, views, featureWidth] each.
    package func features() -> [[Float]] {
        towers.map { tower in tower.digests.flatMap { tower.store[$0] ?? [] } }
    }

    /// SHA-256 over the images and labels taken, hex.
    package var sha256: String {
        hash.finalize().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private func prepare(_ items: [Item]) -> [Result<Prepared, ImagingError>] {
        let results = Mutex<[Int: Result<Prepared, ImagingError>]>([:])
        let parts = min(pool.threads, items.count)
        pool.forEach(parts) { part in
            for index in items.count * part / parts..<items.count * (part + 1) / parts {
                let result = Result { () throws(ImagingError) in try prepare(items[index].bytes, workspaces[part]) }
                results.withLock { $0[index] = result }
            }
        }
        return results.withLock { results in items.indices.compactMap { results[$0] } }
    }

    private func prepare(_ bytes: [UInt8], _ workspace: ImageWorkspace) throws(ImagingError) -> Prepared {
        let digest = Array(SHA256.hash(data: bytes))
        if towers.allSatisfy({ $0.store[digest] != nil }) { return Prepared(digest: digest, crop: nil) }
        var crop = [UInt8](repeating: 0, count: preprocessor.sampleCount)
        let outcome = bytes.withUnsafeBytes { bytes in
            crop.withUnsafeMutableBufferPointer { crop in
                Result { () throws(ImagingError) in
                    try preprocessor.crop(bytes, decoder: decoder, into: crop, workspace: workspace)
                }
            }
        }
        try outcome.get()
        return Prepared(digest: digest, crop: crop)
    }

    private func run(_ index: Int, _ images: [Prepared]) {
        let tower = towers[index]
        let width = tower.encoder.featureWidth
        let missing = images.filter { tower.store[$0.digest] == nil && $0.crop != nil }
        let crops = missing.flatMap { image in
            let crop = image.crop ?? []
            return views == 2 ? crop + Self.mirrored(crop, side: tower.encoder.imageSide) : crop
        }
        var features = [Float](repeating: 0, count: missing.count * views * width)
        crops.withUnsafeBufferPointer { crops in
            features.withUnsafeMutableBufferPointer {
                tower.encoder.encode(crops: crops, count: missing.count * views, features: $0, pool: pool)
            }
        }
        for (place, image) in missing.enumerated() {
            tower.store.put(Array(features[place * views * width..<(place + 1) * views * width]), for: image.digest)
        }
        // At once, so that a run that is ended loses little.
        tower.store.flush()
        towers[index].digests += images.map(\.digest)
    }

    /// A picture [side, side, 3] with left and right exchanged.
    package static func mirrored(_ crop: [UInt8], side: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: crop.count) { target, count in
            for row in 0..<side {
                for column in 0..<side {
                    let (from, to) = ((row * side + column) * 3, (row * side + side - 1 - column) * 3)
                    for channel in 0..<3 { target[to + channel] = crop[from + channel] }
                }
            }
            count = crop.count
        }
    }
}
