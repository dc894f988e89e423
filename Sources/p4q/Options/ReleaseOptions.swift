import ArgumentParser
import Foundation
import Services
import Transport

/// Whose releases a worker takes, and where it hears of them.
struct FollowOptions: ParsableArguments {
    @Option(
        name: .long,
        help: "With --dispatcher: whose releases are taken, a publisher's public key file or a folder of them; may be repeated.",
        completion: .file())
    var trust: [String] = []

    @Option(name: .long, help: "With --trust: where the dispatcher tells of releases; where the dispatcher itself says if not given.")
    var releases: String?

    func validate() throws {
        if releases != nil && trust.isEmpty { throw ValidationError("--releases goes with --trust") }
    }
}

/// The key that releases are signed with.
struct PublisherOptions: ParsableArguments {
    @Option(
        name: .long, help: "The publisher's secret key file (p4q keys new NAME --role publisher); p4q serve keeps its own in its journal.",
        completion: .file())
    var publisherKey = "p4q-journal/publisher.key_secret"

    func key() throws(KeyFileError) -> PublisherKey { try PublisherKey(contentsOf: publisherKey) }
}
