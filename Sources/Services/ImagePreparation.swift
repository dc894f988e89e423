package import Imaging
package import Messages
package import Tensors

/// A picture ready for a tower, in a command that reads its images itself.
package struct PreparedPicture: Sendable {
    let image: PreparedImage

    /// [side, side, 3] 8-bit RGB
    package var crop: [UInt8] { image.crop }
}

/// Decodes and preprocesses jobs by the dozen on a pool's threads, with the worker's own stage, for commands that have all of them at hand:
/// evaluation and calibration.
package struct ImagePreparation: Sendable {
    private let decoder: ImageDecoder
    private let preprocessor: ImagePreprocessor
    private let pool: ThreadPool

    /// Throws: `configuration` if the preprocessor's steps can't be done.
    package init(_ configuration: PreprocessorConfiguration, decoder: ImageDecoder, pool: ThreadPool) throws(ImagingError) {
        preprocessor = try ImagePreprocessor(configuration)
        self.decoder = decoder
        self.pool = pool
    }

    /// One outcome a job, in the jobs' order. Payloads by reference are refused: a command names its files itself.
    package func prepare(_ jobs: [ClassificationJob]) -> [Result<PreparedPicture, Failure>] {
        let unread = Failure(code: "internal.unread", stage: .decode, message: "the picture was not read", retryable: true)
        var outcomes = [Result<PreparedPicture, Failure>](repeating: .failure(unread), count: jobs.count)
        outcomes.withUnsafeMutableBufferPointer { outcomes in
            // Safe: each range is written by one thread, and ranges don't overlap.
            nonisolated(unsafe) let outcomes = outcomes
            pool.forEachRange(jobs.count) { range in
                let stage = ImageStage(
                    decoder: decoder, preprocessor: preprocessor,
                    fetcher: PayloadFetcher(roots: [], maximumBytes: decoder.limits.maximumBytes))
                for index in range {
                    outcomes[index] = stage.prepare(jobs[index]).map(PreparedPicture.init).mapError(\.failure)
                }
            }
        }
        return outcomes
    }
}
