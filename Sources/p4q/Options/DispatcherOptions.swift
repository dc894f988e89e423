import ArgumentParser
import Foundation
import Transport

/// Where a dispatcher is, and who comes.
struct DispatcherOptions: ParsableArguments {
    @Option(
        name: .long,
        help: "The dispatcher's endpoint; queue, sinks, releases, journal, status and top take tcp://127.0.0.1:5555 if it is not given.")
    var dispatcher: String?

    @Option(name: .long, help: "This side's key file (NAME.key_secret of p4q keys new).", completion: .file())
    var key: String?

    @Option(name: .long, help: "The dispatcher's public key file, which it must prove to hold.", completion: .file())
    var serverKey: String?

    @Flag(name: .long, help: "Talk to a dispatcher on another machine without keys: anyone on the way may read and change everything.")
    var insecure = false

    func validate() throws {
        if (key == nil) != (serverKey == nil) { throw ValidationError("--key and --server-key go together") }
    }

    /// The endpoint, if there is one. A dispatcher on another machine needs keys.
    func endpoint() throws -> Endpoint? {
        guard let dispatcher else { return nil }
        let endpoint = try Endpoint(dispatcher, default: .connect)
        guard endpoint.mode == .connect else { throw ValidationError("a dispatcher is connected to, not bound: leave the @ out") }
        guard endpoint.isLocal || key != nil || insecure else {
            throw ValidationError(
                "\(dispatcher) is on a network: give --key and --server-key (p4q keys new), or --insecure to go without")
        }
        return endpoint
    }

    /// The endpoint, which must be given.
    func requiredEndpoint() throws -> Endpoint {
        guard let endpoint = try endpoint() else { throw ValidationError("--dispatcher is needed, such as tcp://127.0.0.1:5555") }
        return endpoint
    }

    func socketOptions() throws -> SocketOptions {
        var options = SocketOptions()
        guard let key, let serverKey else { return options }
        guard let pair = try KeyCertificate(contentsOf: key).pair else {
            throw ValidationError("\(key) has no secret key: give the file that ends in .key_secret")
        }
        options.security = .client(server: try KeyCertificate(contentsOf: serverKey).publicKey, keys: pair)
        return options
    }
}
