import Messages
import Testing

@Suite struct ReleaseMessagesTests {
    static let manifest = ReleaseManifest(
        version: 7, parent: 5, mode: .shadow, classSet: Provenance(name: "pets", sha256: Samples.digest(1)),
        learnedOn: Provenance(name: "pets", sha256: Samples.digest(2)), model: Provenance(name: "clip", sha256: Samples.digest(3)),
        bits: "4-4-8", contentSHA256: Samples.digest(4), contentBytes: 1234, maker: "ann", createdUnixMilliseconds: 1_700_000_000_000,
        goldens: [GoldenScore(input: 0, best: 2, probability: 0.5, scoresSHA256: Samples.digest(5))], note: "why", contentFrom: 6)

    private static func signed() throws -> SignedRelease {
        SignedRelease(
            manifestBytes: try manifest.encode(), publicKey: [UInt8](repeating: 8, count: 32), signature: [UInt8](repeating: 9, count: 64))
    }

    @Test func `a manifest, a signed release and every message come back as they were`() throws {
        #expect(try ReleaseManifest(bytes: Self.manifest.encode()) == Self.manifest)
        let signed = try Self.signed()
        #expect(try SignedRelease(bytes: signed.encode()) == signed && signed.unverifiedManifest() == Self.manifest)
        let requests: [ReleaseRequest] = [
            .snapshot, .content(Samples.digest(1), offset: 99), .publish(signed), .list(classSet: "pets", before: 3),
            .pin(classSet: "pets", version: 2), .unpin(classSet: "pets"), .dropShadow(classSet: "pets"), .classSet("pets"),
            .putClassSet("{}"),
        ]
        for request in requests { #expect(try ReleaseRequest(envelope: request.encode()) == request) }
        let state = ReleaseState(
            classSet: Provenance(name: "pets", sha256: Samples.digest(1)), live: signed, shadow: signed, previous: 1, pinned: 2, last: 9)
        var reply = ReleaseReply(code: "release.conflict", message: "m", version: 4)
        (reply.sequence, reply.states, reply.contentBytes, reply.classSet) = (11, [state], 12, "text")
        reply.entries = [ReleaseEntry(release: signed, acceptedUnixMilliseconds: 3, isKept: true)]
        #expect(try ReleaseReply(envelope: reply.encode()) == reply)
        for event in [ReleaseEvent(sequence: 4), ReleaseEvent(sequence: 5, change: state)] {
            #expect(try ReleaseEvent(frame: event.encode()) == event)
        }
    }

    @Test func `a damaged manifest throws or is another one, wherever it is cut or flipped`() throws {
        let bytes = try Self.manifest.encode()
        for length in 0..<bytes.count {
            if let read = try? ReleaseManifest(bytes: Array(bytes[..<length])) { #expect(read != Self.manifest) }
        }
        for place in bytes.indices {
            for bit in 0..<8 {
                var broken = bytes
                broken[place] ^= 1 << bit
                if let read = try? ReleaseManifest(bytes: broken) { #expect(read != Self.manifest) }
            }
        }
        let envelope = try ReleaseEvent(sequence: 1, change: ReleaseState(classSet: Self.manifest.classSet, live: Self.signed())).encode()
        for place in envelope.indices {
            var broken = envelope
            broken[place] ^= 0xFF
            _ = try? ReleaseEvent(frame: broken)
            _ = try? ReleaseReply(envelope: broken)
            _ = try? ReleaseRequest(envelope: broken)
            _ = try? SignedRelease(bytes: broken)
        }
    }

    @Test(
        arguments: [
            { $0.version = 0 }, { $0.parent = 7 }, { $0.contentFrom = 8 }, { $0.contentBytes = 0 },
            { $0.contentBytes = ReleaseManifest.maximumContentBytes + 1 }, { $0.bits = "" }, { $0.classSet.name = "" },
            { $0.goldens = Array(repeating: $0.goldens[0], count: 17) }, { $0.goldens[0].probability = .nan },
            { $0.maker = String(repeating: "x", count: 129) }, { $0.version = .max },
        ] as [@Sendable (inout ReleaseManifest) -> Void])
    func `what can't be is refused`(change: @Sendable (inout ReleaseManifest) -> Void) throws {
        var manifest = Self.manifest
        change(&manifest)
        let bytes = try manifest.encode()
        #expect(throws: MessageError.self) { try ReleaseManifest(bytes: bytes) }
    }

    @Test func `a key or a signature of the wrong length is refused`() throws {
        let bytes = try Self.manifest.encode()
        for (key, signature) in [(31, 64), (32, 63), (0, 0)] {
            let release = SignedRelease(
                manifestBytes: bytes, publicKey: [UInt8](repeating: 1, count: key), signature: [UInt8](repeating: 1, count: signature))
            #expect(throws: MessageError.self) { try SignedRelease(bytes: release.encode()) }
        }
    }
}
