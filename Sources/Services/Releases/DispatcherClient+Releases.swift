internal import Crypto
package import Foundation
package import Messages
internal import Transport

/// A client's questions about releases.
extension DispatcherClient {
    /// Asks. Throws `ReleaseError` if the dispatcher refuses, `Failure` if the caller may not, `TransportError`, `MessageError`.
    package func ask(
        _ request: ReleaseRequest, content: [UInt8] = [], timeout: Duration = .seconds(10)
    ) throws -> (reply: ReleaseReply, content: [UInt8]) {
        var body = [try request.encode()]
        for start in stride(from: 0, to: content.count, by: ReleaseRequest.chunkBytes) {
            body.append(Array(content[start..<min(start + ReleaseRequest.chunkBytes, content.count)]))
        }
        let frames = try ask(ReleaseRequest.service, body, timeout: timeout)
        guard let envelope = frames.first else { throw ReleaseError.dispatcher(reason: "its answer is empty") }
        if let refusal = try? SubmitReply(envelopes: [envelope]), let failure = refusal.failure { throw failure }
        let reply = try ReleaseReply(envelope: envelope)
        guard reply.code.isEmpty else { throw ReleaseError(reply, to: request) }
        return (reply, frames.count > 1 ? frames[1] : [])
    }

    /// Gets a release's content, piece by piece, into a new file, and checks its length and hash. Throws as `ask` does.
    package func download(_ manifest: ReleaseManifest, to file: URL) throws {
        guard FileManager.default.createFile(atPath: file.path, contents: nil, attributes: [.posixPermissions: 0o600]) else {
            throw ReleaseError.dispatcher(reason: "\(file.path) can't be written")
        }
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        var hash = SHA256()
        var count = 0
        while count < manifest.contentBytes {
            let (reply, piece) = try ask(.content(manifest.contentSHA256, offset: count))
            guard reply.contentBytes == manifest.contentBytes, !piece.isEmpty, piece.count <= manifest.contentBytes - count else {
                throw ReleaseError.wrongContent(
                    manifest.displayName, reason: "the dispatcher has \(reply.contentBytes) bytes, not \(manifest.contentBytes)")
            }
            hash.update(data: piece)
            try handle.write(contentsOf: piece)
            count += piece.count
        }
        guard Array(hash.finalize()) == manifest.contentSHA256.bytes else {
            throw ReleaseError.wrongContent(manifest.displayName, reason: "its hash is another one")
        }
    }

    /// What is in place of a class set; nil if nothing is.
    package func releaseState(of classSet: String) throws -> ReleaseState? {
        try ask(.snapshot).reply.states.first { $0.classSet.name == classSet }
    }

    /// Every release of a class set that is on record, newest first.
    package func releases(of classSet: String, limit: Int = .max) throws -> [ReleaseEntry] {
        var entries: [ReleaseEntry] = []
        var before: UInt64 = 0
        while entries.count < limit {
            let page = try ask(.list(classSet: classSet, before: before)).reply.entries
            guard let last = try page.last?.release.unverifiedManifest().version else { break }
            entries += page
            before = last
        }
        return Array(entries.prefix(limit))
    }

    /// Publishes the content of an earlier release, or of a shadow, under a new and higher version, live. Gives that version.
    package func republish(_ version: UInt64, of classSet: String, signedBy key: PublisherKey, note: String, now: Date) throws -> UInt64 {
        guard let state = try releaseState(of: classSet) else { throw ReleaseError.unknown(classSet: classSet, version: version) }
        let found = try ask(.list(classSet: classSet, before: version + 1)).reply.entries.first
        guard let found, var manifest = Optional(try found.release.unverifiedManifest()), manifest.version == version else {
            throw ReleaseError.unknown(classSet: classSet, version: version)
        }
        guard found.isKept else { throw ReleaseError.gone(classSet: classSet, version: version) }
        manifest.contentFrom = version
        manifest.parent = try state.live?.unverifiedManifest().version ?? 0
        manifest.version = state.last + 1
        manifest.mode = .live
        manifest.maker = key.name
        manifest.createdUnixMilliseconds = Int64(now.timeIntervalSince1970 * 1000)
        manifest.note = note
        return try ask(.publish(try key.sign(manifest))).reply.version
    }
}

extension ReleaseError {
    /// What a dispatcher's refusal means.
    init(_ reply: ReleaseReply, to request: ReleaseRequest) {
        let manifest: ReleaseManifest? = if case .publish(let release) = request { try? release.unverifiedManifest() } else { nil }
        let name = manifest?.classSet.name ?? request.classSet
        switch reply.code {
        case "release.conflict": self = .conflict(classSet: name, expected: manifest?.parent ?? 0, live: reply.version)
        case "release.pinned": self = .pinned(classSet: name, version: reply.version)
        case "release.older": self = .older(name, found: manifest?.version ?? 0, inPlace: reply.version)
        case "release.gone": self = .gone(classSet: name, version: manifest?.contentFrom ?? 0)
        default: self = .refused(code: reply.code, message: reply.message)
        }
    }
}

extension ReleaseRequest {
    /// The class set that it is about; empty for others.
    fileprivate var classSet: String {
        switch self {
        case .list(let name, _), .pin(let name, _), .unpin(let name), .dropShadow(let name), .classSet(let name), .scoring(let name): name
        case .snapshot, .content, .publish, .putClassSet, .report: ""
        }
    }
}
