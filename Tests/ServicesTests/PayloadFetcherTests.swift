import Foundation
import Messages
import Services
import Testing

@Suite struct PayloadFetcherTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-payload-\(UUID().uuidString)")
    private let digest: Digest

    init() throws {
        // SHA-256 of "abc". Source: FIPS 180-2, appendix B.1.
        digest = try #require(Digest(hex: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
    }

    private func code(_ uri: String, limit: Int = 100) throws -> String {
        let inside = folder.appendingPathComponent("root")
        try FileManager.default.createDirectory(at: inside, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("abc".utf8).write(to: inside.appendingPathComponent("a b.jpg"))
        try Data("abc".utf8).write(to: folder.appendingPathComponent("outside"))
        try FileManager.default.createSymbolicLink(
            at: inside.appendingPathComponent("link"), withDestinationURL: folder.appendingPathComponent("outside"))
        let fetcher = PayloadFetcher(roots: [inside], maximumBytes: limit)
        do throws(Failure) {
            let bytes = try fetcher.fetch(uri: uri.replacingOccurrences(of: "ROOT", with: "file://\(inside.path)"), sha256: digest)
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            return error.code
        }
    }

    @Test func `a file under a root is read, and nothing else is`() throws {
        #expect(try code("ROOT/a%20b.jpg") == "abc")
        #expect(try code("ROOT/link") == "payload.forbidden")
        #expect(try code("ROOT/../outside") == "payload.forbidden")
        #expect(try code("ROOT/../root-beside/x") == "payload.forbidden")
        #expect(try code("file:///etc/passwd") == "payload.forbidden")
        #expect(try code("http://example.org/a.jpg") == "payload.scheme")
        #expect(try code("file://otherhost/tmp/a") == "payload.scheme")
        #expect(try code("ROOT/none.jpg") == "payload.missing")
        #expect(try code("ROOT/a%20b.jpg", limit: 2) == "decode.too_large")
    }
}
