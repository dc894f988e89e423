import ArgumentParser
import CLIP
import Foundation
import Messages
import Services
import Tensors
import Transport
import Tuning

/// `p4q releases`: what workers score by.
struct Releases: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at the releases of a dispatcher's class sets, publish one, go back.",
        discussion: """
            A release is a learned prompt and adapter with its class set's text features, under a version that only grows. Whatever changes \
            the answers is signed: publish, promote and rollback need a publisher's key that the workers trust.
            """,
        subcommands: [
            List.self, Show.self, Diff.self, Publish.self, Promote.self, Drop.self, Rollback.self, Pin.self, Unpin.self, ClassSets.self,
        ])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The class sets and what is live; of one class set, its releases.")
        @OptionGroup var connection: ReleaseConnection
        @Argument(help: "A class set's name.") var classSet: String?
        @Option(name: .long, help: "The most releases.") var limit = 20
        @Flag(name: .long, help: "One JSON object a line.") var json = false

        func run() throws {
            let client = try connection.client()
            let states = try client.ask(.snapshot).reply.states
            guard let classSet else {
                let facts = try states.map { state in
                    let name = state.classSet.name
                    let scoring = state.shadow == nil ? [] : try client.ask(.scoring(classSet: name)).reply.scoring
                    return try ReleaseFacts.State(state, shadow: ShadowSum.all(scoring)[name])
                }
                return ReleaseTable.print(facts, json: json, table: ReleaseTable.states)
            }
            let state = states.first { $0.classSet.name == classSet }
            let facts = try client.releases(of: classSet, limit: limit).map { try ReleaseFacts($0, in: state) }
            if facts.isEmpty { throw ReleaseError.noReleases(classSet: classSet) }
            ReleaseTable.print(facts, json: json, table: ReleaseTable.releases)
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "All that is known of a release, as JSON; of the live one if no version is given.")
        @OptionGroup var connection: ReleaseConnection
        @Argument var classSet: String
        @Argument var version: UInt64?

        func run() throws {
            let client = try connection.client()
            print(try ReleaseFacts.json(try client.facts(classSet, version)))
        }
    }

    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What differs between two releases of a class set, a line a field.")
        @OptionGroup var connection: ReleaseConnection
        @Argument var classSet: String
        @Argument var first: UInt64
        @Argument(help: "The live one if not given.") var second: UInt64?

        func run() throws {
            let client = try connection.client()
            let (old, new) = (try client.facts(classSet, first), try client.facts(classSet, second))
            for line in try ReleaseFacts.differences(old, new) { print(line) }
        }
    }

    struct Publish: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Publish what p4q tune has learned: every worker that trusts the key scores by it from its next batch on.",
            discussion: "It follows the release that is live now; if another one comes in between, nothing is published (exit 75).")
        @OptionGroup var connection: ReleaseConnection
        @OptionGroup var publisher: PublisherOptions
        @Argument(help: "A file of p4q tune.", completion: .file()) var file: String
        @Option(name: .long, help: "The quantized model it was learned for.", completion: .directory) var model: String
        @Option(name: .long, help: "The class set that it shall serve.", completion: .file()) var classSet: String
        @Option(name: .long, help: "Logits are divided by it.") var temperature: Float = 1
        @Option(name: .long, help: "A less probable first answer is unknown; in place of the class set's threshold.") var unknown: Float?
        @Option(name: .long, help: "Why, for people.") var note = ""
        @Option(name: .long, help: "The version that it must follow; what is live now if not given.") var parent: UInt64?
        @Flag(name: .long, help: "Workers score with it beside the live one and count where both agree; promote or drop it later.")
        var shadow = false
        @OptionGroup var threading: ThreadOptions

        func run() async throws {
            let (key, pool) = (try publisher.key(), threading.makePool())
            let set = try ProcessorOptions.instructionSet()
            let model = try ModelLoader(instructionSet: set).load(model)
            let tuning = try TuningFile.load(URL(fileURLWithPath: file))
            let classes = try ClassSet(contentsOf: URL(fileURLWithPath: classSet))
            guard let text = try tuning.applied(to: model, name: file, instructionSet: set).text else {
                throw TuningError.noTextTower(model: model.name)
            }
            let content = try ReleaseContent(
                tuning: tuning, classSet: classes, textFeatures: try text.compute(for: classes, pool: pool, truncating: true),
                temperature: temperature, unknownThreshold: unknown, name: file)
            let context = try ZeroMQContext()
            let client = DispatcherReleasePublisher(
                dispatcher: try connection.endpoint(), socketOptions: try connection.dispatcherOptions.socketOptions(), context: context,
                key: key, model: model, pool: pool)
            var follows = parent
            if follows == nil { follows = try await client.current(classSet: classes.name)?.manifest.version }
            let version = try await client.publish(content, parent: follows ?? 0, mode: shadow ? .shadow : .live, note: note)
            print("\(classes.name) \(version)")
        }
    }

    struct Promote: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a shadow release live, under a new version.")
        @OptionGroup var connection: ReleaseConnection
        @OptionGroup var publisher: PublisherOptions
        @Argument var classSet: String
        @Option(name: .long, help: "Why, for people.") var note = ""

        func run() throws {
            let client = try connection.client()
            guard let shadow = try client.releaseState(of: classSet)?.shadow else {
                throw ReleaseError.refused(code: "release.unknown", message: "\(classSet) has no shadow release")
            }
            let version = try shadow.unverifiedManifest().version
            let note = note.isEmpty ? "promotes \(version)" : note
            print("\(classSet) \(try client.republish(version, of: classSet, signedBy: publisher.key(), note: note, now: Date()))")
        }
    }

    struct Drop: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "End a shadow release.")
        @OptionGroup var connection: ReleaseConnection
        @Argument var classSet: String
        func run() throws { _ = try connection.client().ask(.dropShadow(classSet: classSet)) }
    }

    struct Rollback: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring an earlier release's content back, under a new and higher version: the one before the live one, or --to.")
        @OptionGroup var connection: ReleaseConnection
        @OptionGroup var publisher: PublisherOptions
        @Argument var classSet: String
        @Option(name: .long, help: "The version to bring back.") var to: UInt64?
        @Option(name: .long, help: "Why, for people.") var note = ""

        func run() throws {
            let client = try connection.client()
            guard let state = try client.releaseState(of: classSet) else { throw ReleaseError.noReleases(classSet: classSet) }
            let target = to ?? state.previous
            guard target > 0 else { throw ReleaseError.noEarlier(classSet: classSet) }
            let note = note.isEmpty ? "back to \(target)" : note
            print("\(classSet) \(try client.republish(target, of: classSet, signedBy: publisher.key(), note: note, now: Date()))")
        }
    }

    struct Pin: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let no other release become live until unpin.")
        @OptionGroup var connection: ReleaseConnection
        @Argument var classSet: String
        @Argument(help: "The live version, so that nobody pins another by mistake; what is live if not given.") var version: UInt64?

        func run() throws {
            let client = try connection.client()
            let live = try client.releaseState(of: classSet)?.live?.unverifiedManifest().version
            _ = try client.ask(.pin(classSet: classSet, version: version ?? live ?? 0))
        }
    }

    struct Unpin: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let other releases become live again.")
        @OptionGroup var connection: ReleaseConnection
        @Argument var classSet: String
        func run() throws { _ = try connection.client().ask(.unpin(classSet: classSet)) }
    }

    struct ClassSets: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "class-set",
            abstract:
                "Hand a class set to the dispatcher: workers that lack it fetch it, and learned prompts serve its new list of classes.")
        @OptionGroup var connection: ReleaseConnection
        @Argument(help: "A class set in YAML or JSON.", completion: .file()) var file: String

        func run() throws {
            let classSet = try ClassSet(contentsOf: URL(fileURLWithPath: file))
            _ = try connection.client().ask(.putClassSet(classSet.canonicalText))
            print("\(classSet.name) \(classSet.sha256)")
        }
    }
}

/// Where the dispatcher is that has the releases.
struct ReleaseConnection: ParsableArguments {
    @OptionGroup var dispatcherOptions: DispatcherOptions

    func endpoint() throws -> Endpoint { try dispatcherOptions.endpoint() ?? Endpoint("tcp://127.0.0.1:5555", default: .connect) }

    func client() throws -> DispatcherClient {
        try DispatcherClient(to: try endpoint(), in: try ZeroMQContext(), options: try dispatcherOptions.socketOptions())
    }
}

extension DispatcherClient {
    /// A release by its version; the live one where that is nil.
    fileprivate func facts(_ classSet: String, _ version: UInt64?) throws -> ReleaseFacts {
        guard let state = try releaseState(of: classSet) else { throw ReleaseError.noReleases(classSet: classSet) }
        guard let wanted = try version ?? state.live?.unverifiedManifest().version else { throw ReleaseError.noLive(classSet: classSet) }
        guard wanted > 0, let entry = try ask(.list(classSet: classSet, before: wanted + 1)).reply.entries.first,
            try entry.release.unverifiedManifest().version == wanted
        else { throw ReleaseError.unknown(classSet: classSet, version: wanted) }
        return try ReleaseFacts(entry, in: state)
    }
}
