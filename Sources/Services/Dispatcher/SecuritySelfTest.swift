internal import Foundation
internal import Synchronization
internal import Transport

/// Tries the dispatcher's own door before anyone is told that it is open: a stranger's key must not get in.
///
/// CURVE without an authenticator lets everyone in, and looks the same from outside; so a process that can't show the difference must not serve.
enum SecuritySelfTest {
    /// What the tester is called; it is on no list, and what it sends is not read.
    static let userID = "p4q self-test"

    /// The door is open to strangers, or shut to everyone.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter known: a key that the authenticator lets in, for this test only.
    static func run(endpoint: String, serverKey: CurveKey, known: CurveKeyPair, context: ZeroMQContext) async throws {
        guard try await connects(endpoint, serverKey, known, context, within: .seconds(5)) else {
            throw Failure(description: "the self-test could not connect to \(endpoint) with a key that is let in: nobody can; not serving")
        }
        if try await connects(endpoint, serverKey, CurveKeyPair(), context, within: .milliseconds(500)) {
            throw Failure(description: "a stranger's key gets in at \(endpoint): authentication does not work here; not serving")
        }
    }

    /// Whether a message can be sent, which it can only after the handshake.
    private static func connects(
        _ endpoint: String, _ serverKey: CurveKey, _ keys: CurveKeyPair, _ context: ZeroMQContext, within limit: Duration
    ) async throws -> Bool {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        var options = SocketOptions()
                        options.linger = .zero
                        options.security = .client(server: serverKey, keys: keys)
                        let socket = try Socket(.dealer, in: context, options: options)
                        try socket.attach(try Endpoint(endpoint, default: .connect))
                        do throws(TransportError) {
                            try socket.send([try Frame([])], timeout: limit)
                            return true
                        } catch {
                            guard case .timedOut = error else { throw error }
                            return false
                        }
                    })
            }
        }
    }
}
