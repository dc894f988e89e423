import Foundation
import Synchronization
import Testing
import Transport

@Suite struct KeyTests {
    private func folder() throws -> URL {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-keys-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }

    /// The server's pair of libzmq's documentation of zmq_curve_keypair.
    @Test func `keys are written in Z85`() throws {
        let text = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
        let key = try #require(CurveKey(text: text))
        #expect(key.text == text && key.bytes.count == 32)
        let secret = try #require(CurveKey(text: "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"))
        #expect(CurveKeyPair(secretKey: secret)?.publicKey == key)
        for bad in ["", String(text.dropLast()), text + "0", String(repeating: "\"", count: 40), String(repeating: "é", count: 20)] {
            #expect(CurveKey(text: bad) == nil)
        }
    }

    @Test func `a certificate comes back as it was written, and only its owner reads the secret`() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let pair = try CurveKeyPair()
        let path = folder.appendingPathComponent("a.key_secret").path
        let certificate = KeyCertificate(
            metadata: ["name": "a", "roles": "producer"], publicKey: pair.publicKey, secretKey: pair.secretKey)
        try certificate.write(to: path)
        #expect(try KeyCertificate(contentsOf: path) == certificate)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        #expect(throws: KeyFileError.unwritable(path: path, errno: EEXIST)) { try certificate.write(to: path) }
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        #expect(throws: KeyFileError.exposed(path: path)) { try KeyCertificate(contentsOf: path) }
    }

    @Test(arguments: [
        "", "curve\n    public-key = \"short\"\n", "metadata\n    name = \"x\"\n",
        "public-key = \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"",
        "curve\n  public-key = \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"\n  secret-key = \"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs\"",
    ])
    func `what is no certificate is refused`(text: String) {
        #expect(throws: KeyFileError.self) { try KeyCertificate(text: text, path: "x") }
    }

    @Test func `a list with a bad file is refused whole, and stays as it was when it turns bad`() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let pair = try CurveKeyPair()
        let path = folder.appendingPathComponent("a.key").path
        try KeyCertificate(metadata: ["name": "a", "roles": "producer,sink"], publicKey: pair.publicKey).write(to: path)
        let list = try AllowList(folder: folder.path)
        #expect(list.identity(of: pair.publicKey) == AllowList.Identity(name: "a", roles: [.producer, .sink]))
        try KeyCertificate(metadata: ["name": "b", "roles": "king"], publicKey: try CurveKeyPair().publicKey).write(
            to: folder.appendingPathComponent("b.key").path)
        #expect(throws: KeyFileError.self) { try list.reload() }
        #expect(throws: KeyFileError.self) { try AllowList(folder: folder.path) }
        #expect(list.userID(of: pair.publicKey).flatMap(list.identity(userID:))?.name == "a")
        try FileManager.default.removeItem(atPath: folder.appendingPathComponent("b.key").path)
        try FileManager.default.removeItem(atPath: path)
        try list.reload()
        #expect(list.identity(of: pair.publicKey) == nil)
    }
}

@Suite struct CurveTests {
    private struct Outcome { var arrived: Bool; var userID: String? }

    /// Whether a message of a client with `security` reaches a ROUTER that lets `known` in, and whom it says it is from.
    private func knock(_ security: SocketOptions.Security, server: CurveKeyPair, known: CurveKey, handler: Bool = true) async throws
        -> Outcome
    {
        try await blocking {
            let context = try ZeroMQContext()
            let refused = Mutex(0)
            let authenticator =
                handler
                ? try Authenticator(
                    in: context, domain: "test", decide: { $0 == known ? "friend" : nil },
                    onRefused: { _, _ in refused.withLock { $0 += 1 } },
                    onEnd: { _ in }) : nil
            var options = SocketOptions()
            options.linger = .zero
            options.security = .server(secretKey: server.secretKey, domain: "test")
            let router = try Socket(.router, in: context, options: options)
            let address = try router.attach(Place.fresh(.tcp))
            options.security = security
            let dealer = try Socket(.dealer, in: context, options: options)
            try dealer.attach(try Endpoint(address, default: .connect))
            try? dealer.send([try Frame([42])], timeout: .milliseconds(600))
            let frames = try router.receive(timeout: .milliseconds(400))
            withExtendedLifetime(authenticator) {}
            return Outcome(arrived: frames?.last?.bytes == [42], userID: frames?.last?.userID)
        }
    }

    @Test func `a known key gets in under its name, and nobody else does`() async throws {
        let (server, friend, stranger) = (try CurveKeyPair(), try CurveKeyPair(), try CurveKeyPair())
        let good = try await knock(.client(server: server.publicKey, keys: friend), server: server, known: friend.publicKey)
        #expect(good.arrived && good.userID == "friend")
        let others: [SocketOptions.Security] = [
            .client(server: server.publicKey, keys: stranger), .client(server: stranger.publicKey, keys: friend), .open,
        ]
        for security in others {
            let bad = try await knock(security, server: server, known: friend.publicKey)
            #expect(!bad.arrived)
        }
    }

    @Test func `without an authenticator nobody gets in`() async throws {
        let (server, friend) = (try CurveKeyPair(), try CurveKeyPair())
        let outcome = try await knock(
            .client(server: server.publicKey, keys: friend), server: server, known: friend.publicKey, handler: false)
        #expect(!outcome.arrived)
    }
}
