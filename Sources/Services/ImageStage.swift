internal import Crypto
internal import Foundation
package import Imaging
internal import Messages

/// Bytes to a crop: fetch, digest, decode, preprocess, each timed. One a thread; its scratch memory is reused from picture to picture.
package final class ImageStage {
    private let decoder: ImageDecoder
    private let preprocessor: ImagePreprocessor
    private let fetcher: PayloadFetcher
    private let keepsPayload: Bool
    private let workspace = ImageWorkspace()

    /// - keepsPayload: pictures keep their job's bytes, which the tower has no use for.
    package init(decoder: ImageDecoder, preprocessor: ImagePreprocessor, fetcher: PayloadFetcher, keepsPayload: Bool = false) {
        self.keepsPayload = keepsPayload
        self.decoder = decoder
        self.preprocessor = preprocessor
        self.fetcher = fetcher
    }

    /// The picture of `item`, ready for the tower, or the reason why there is none with what was learned on the way.
    func prepare(_ item: ClassificationJob) -> Result<PreparedImage, FailedJob> {
        var timings = Timings(queue: .now - item.received)
        if let deadline = item.deadline, deadline < .now {
            return .failure(FailedJob(item, .expired(stage: .queue), timings: timings))
        }
        do throws(Failure) {
            guard case .reference(let uri, let sha256) = item.job.payload else {
                return item.payload.withUnsafeBytes { decode($0, item, &timings) }
            }
            let data = try fetcher.fetch(uri: uri, sha256: sha256)
            return data.withUnsafeBytes { decode($0, item, &timings) }
        } catch {
            return .failure(FailedJob(item, error, timings: timings))
        }
    }

    private func decode(
        _ bytes: UnsafeRawBufferPointer, _ item: ClassificationJob, _ timings: inout Timings
    ) -> Result<PreparedImage, FailedJob> {
        let start = ContinuousClock.now
        let digest = Self.sha256(bytes)
        do throws(ImagingError) {
            try decoder.decode(bytes, into: workspace.image)
        } catch {
            timings.decode = .now - start
            let failure = Failure(code: error.code, stage: .decode, message: error.message(for: item.job.id), retryable: error.isRetryable)
            return .failure(FailedJob(item, failure, image: ImageFacts(sha256: digest, header: nil), timings: timings))
        }
        let decoded = ContinuousClock.now
        let image = workspace.image
        let size = preprocessor.sampleCount
        let crop = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            preprocessor.crop(image, into: UnsafeMutableBufferPointer(rebasing: buffer[..<size]), workspace: workspace)
            count = size
        }
        timings.decode = decoded - start
        timings.preprocess = .now - decoded
        let format: Messages.ImageFormat = image.format == .png ? .png : .jpeg
        let header = ImageFacts.Header(width: image.width, height: image.height, format: format)
        let item = keepsPayload ? item : item.releasingPayload()
        return .success(PreparedImage(item: item, facts: ImageFacts(sha256: digest, header: header), crop: crop, timings: timings))
    }

    private static func sha256(_ bytes: UnsafeRawBufferPointer) -> Messages.Digest {
        var hash = SHA256()
        hash.update(bufferPointer: bytes)
        guard let digest = Messages.Digest(bytes: Array(hash.finalize())) else { preconditionFailure("SHA-256 has 32 bytes") }
        return digest
    }
}

/// A job that ended before the tower.
struct FailedJob: Error {
    let item: ClassificationJob
    let failure: Failure
    let image: ImageFacts?
    let timings: Timings

    init(_ item: ClassificationJob, _ failure: Failure, image: ImageFacts? = nil, timings: Timings) {
        self.item = item
        self.failure = failure
        self.image = image
        self.timings = timings
    }
}

extension Failure {
    /// The deadline passed before `stage` was done.
    static func expired(stage: Stage) -> Failure {
        Failure(code: "job.expired", stage: stage, message: "the job's deadline passed before its turn came", retryable: false)
    }
}
