internal import Crypto
package import Foundation
package import Messages

/// Reads payloads that jobs refer to instead of carrying: files under folders that the operator named, and nothing else.
package struct PayloadFetcher: Sendable {
    private let roots: [String]
    private let maximumBytes: Int

    /// - Parameters:
    ///   - roots: folders whose files may be read; symbolic links are followed before the comparison.
    ///   - maximumBytes: the largest file that is read.
    package init(roots: [URL], maximumBytes: Int) {
        self.roots = roots.map { $0.resolvingSymlinksInPath().path }
        self.maximumBytes = maximumBytes
    }

    /// The bytes at `uri`, whose digest must be `sha256`.
    package func fetch(uri: String, sha256: Messages.Digest) throws(Failure) -> Data {
        guard let url = URL(string: uri), url.isFileURL, url.host() ?? "" == "" || url.host() == "localhost" else {
            throw Self.failure("payload.scheme", "\(uri) can't be fetched: this worker reads file: URIs only", retryable: false)
        }
        let path = url.resolvingSymlinksInPath().path
        guard roots.contains(where: { path.hasPrefix($0.hasSuffix("/") ? $0 : $0 + "/") }) else {
            throw Self.failure(
                "payload.forbidden", "\(path) lies in no folder that this worker may read; its operator names them with --payload-root",
                retryable: false)
        }
        let data = try read(path)
        guard SHA256.hash(data: data).elementsEqual(sha256.bytes) else {
            throw Self.failure("payload.digest", "\(path) does not have the SHA-256 that the job states", retryable: false)
        }
        return data
    }

    private func read(_ path: String) throws(Failure) -> Data {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard let attributes, attributes[.type] as? FileAttributeType == .typeRegular, let size = attributes[.size] as? Int else {
            throw Self.failure("payload.missing", "\(path) is not a file that can be read", retryable: true)
        }
        guard size <= maximumBytes else {
            throw Self.failure("decode.too_large", "\(path) has \(size) bytes; the limit is \(maximumBytes)", retryable: false)
        }
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw Self.failure("payload.missing", "\(path) can't be read", retryable: true)
        }
        return data
    }

    private static func failure(_ code: String, _ message: String, retryable: Bool) -> Failure {
        Failure(code: code, stage: .fetch, message: message, retryable: retryable)
    }
}
