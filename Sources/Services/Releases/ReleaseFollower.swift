package import CLIP
internal import Foundation
internal import JobQueue
package import Logging
internal import Messages
internal import ServiceLifecycle
internal import Synchronization
internal import Tensors
package import Transport
internal import Tuning

/// Keeps a worker's releases and class sets like the dispatcher's: subscribes, takes the snapshot, then the changes that follow it.
///
/// A release is taken only when it is wholly checked; whatever is wrong with it, what is in place stays.
package final class ReleaseFollower: Service {
    /// Where it looks.
    package struct Settings: Sendable {
        package var dispatcher: Endpoint
        /// The dispatcher's publishing socket; nil: where the dispatcher says. If that is nowhere, the snapshot is taken again and again.
        package var events: Endpoint?
        package var socketOptions = SocketOptions()
        /// Between looks where there are no events, and after failures.
        package var pause: Duration = .seconds(1)
        /// After so much silence the snapshot is taken again: three beacons.
        package var silence: Duration = .seconds(3)
        /// Between reports of what was answered.
        package var reporting: Duration = .seconds(2)

        package init(dispatcher: Endpoint, events: Endpoint?) {
            self.dispatcher = dispatcher
            self.events = events
        }
    }

    /// What it has counted.
    package struct Counters: Sendable, Equatable {
        package var adopted = 0
        package var snapshots = 0
        package var gaps = 0
        /// By code.
        package var refused: [String: Int] = [:]
    }

    private struct State {
        var counters = Counters()
        var isStopping = false
        var isSynchronized = false
    }

    private let settings: Settings
    private let context: ZeroMQContext
    private let registry: ClassSetRegistry
    private let model: CLIPModel
    private let trust: TrustList
    private let logger: Logger
    private let state = Mutex(State())
    /// Another name at each start: what this process has answered begins at nothing.
    private let incarnation = String(UInt64.random(in: 0 ... .max), radix: 36)

    /// - Parameter model: without a tuning.
    package init(
        settings: Settings, context: ZeroMQContext, registry: ClassSetRegistry, model: CLIPModel, trust: TrustList, logger: Logger
    ) {
        self.settings = settings
        self.context = context
        self.registry = registry
        self.model = model
        self.trust = trust
        self.logger = logger
        let thread = Thread { [weak self] in self?.follow() }
        thread.name = "p4q-releases"
        thread.stackSize = 4 << 20
        thread.start()
    }

    package var counters: Counters { state.withLock { $0.counters } }

    /// Waits until the first snapshot has been worked through, or for `limit`.
    package func synchronize(within limit: Duration) async {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end, !state.withLock({ $0.isSynchronized }) { try? await Task.sleep(for: .milliseconds(20)) }
    }

    package func run() async throws {
        try? await gracefulShutdown()
        stop()
    }

    /// Takes nothing more.
    package func stop() { state.withLock { $0.isStopping = true } }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    // MARK: The thread

    private func follow() {
        var wait = Self.shortestWait
        while !isStopping {
            let before = counters.snapshots
            do {
                try followUntilFailure()
            } catch TransportError.shutDown {
                return
            } catch {
                wait = counters.snapshots > before ? Self.shortestWait : min(wait * 2, .seconds(5))
                logger.warning("releases can't be followed for now", metadata: ["error": "\(error)"])
                let end = ContinuousClock.now + wait
                while ContinuousClock.now < end, !isStopping { Thread.sleep(forTimeInterval: 0.1) }
            }
        }
    }

    private static let shortestWait = Duration.milliseconds(500)

    private func followUntilFailure() throws {
        let client = try DispatcherClient(to: settings.dispatcher, in: context, options: settings.socketOptions)
        let endpoint = try settings.events ?? eventEndpoint(client.ask(.snapshot).reply)
        // Subscribed before the snapshot that counts, so that nothing falls between it and the stream.
        var events: Socket?
        if let endpoint {
            let socket = try Socket(.subscribe, in: context, options: settings.socketOptions)
            try socket.attach(endpoint)
            events = socket
        }
        logger.info("following releases", metadata: ["releases.endpoint": "\(endpoint?.address ?? "none, asked for every second")"])
        var stream = ReleaseStream()
        var lookAt: ContinuousClock.Instant? = .now
        var heard = ContinuousClock.now
        var reported = (at: ContinuousClock.now, counts: [ScoringCounts]())
        while !isStopping {
            if let moment = lookAt, moment <= .now {
                let reply = try takeSnapshot(client, &stream)
                // A dispatcher that was started again may publish elsewhere.
                if settings.events == nil, eventEndpoint(reply) != endpoint { return }
                lookAt = events == nil ? .now + settings.pause : nil
                heard = .now
            }
            try fetchWanted(client)
            if ContinuousClock.now - reported.at > settings.reporting {
                let counts = registry.scoring
                if counts != reported.counts { try report(counts, client) }
                reported = (.now, counts)
            }
            guard let events else {
                Thread.sleep(forTimeInterval: 0.1)
                continue
            }
            if ContinuousClock.now - heard > settings.silence { lookAt = .now }
            guard let frames = try events.receive(timeout: .milliseconds(200)) else { continue }
            heard = .now
            guard let frame = frames.first, let event = try? ReleaseEvent(frame: frame.bytes) else {
                refuse("message.malformed", "an event can't be read")
                continue
            }
            switch stream.event(event) {
            case .nothing: break
            case .apply(let change): if !apply(change, client) { throw Self.incomplete }
            case .snapshot:
                state.withLock { $0.counters.gaps += 1 }
                lookAt = .now
            }
        }
    }

    private func eventEndpoint(_ reply: ReleaseReply) -> Endpoint? {
        let isEncrypted = if case .client = settings.socketOptions.security { true } else { false }
        return EventEndpoint.choose(reply.events, dispatcher: settings.dispatcher, isEncrypted: isEncrypted)
    }

    private func takeSnapshot(_ client: DispatcherClient, _ stream: inout ReleaseStream) throws -> ReleaseReply {
        let reply = try client.ask(.snapshot).reply
        var isComplete = true
        for change in reply.states where !apply(change, client) { isComplete = false }
        // What could not be fetched is tried again with the next snapshot. Class sets that jobs wait for don't wait for it.
        if !isComplete {
            try fetchWanted(client)
            throw Self.incomplete
        }
        stream.snapshot(reply.sequence)
        state.withLock { state in
            state.counters.snapshots += 1
            state.isSynchronized = true
        }
        return reply
    }

    /// Ends a connection on which an answer may still be under way, which would be taken for that of the next question.
    private static let incomplete = ReleaseError.dispatcher(reason: "a release could not be fetched")

    /// Takes what is new. False if it should be tried again.
    private func apply(_ change: ReleaseState, _ client: DispatcherClient) -> Bool {
        let name = change.classSet.name
        var isDone = true
        if let live = change.live { isDone = adopt(live, .live, name, client) }
        if let shadow = change.shadow {
            isDone = adopt(shadow, .shadow, name, client) && isDone
        } else {
            try? registry.dropShadow(name)
        }
        if let known = registry.classSet(named: name), known.sha256 != change.classSet.sha256.hex, registry.isShared(name) {
            registry.want(name)
        }
        return isDone
    }

    /// Checks and takes a release. False if it can't be told now whether it is good.
    private func adopt(_ signed: SignedRelease, _ mode: ReleaseMode, _ classSet: String, _ client: DispatcherClient) -> Bool {
        let start = ContinuousClock.now
        do {
            let manifest = try trust.verify(signed)
            guard manifest.classSet.name == classSet, manifest.mode == mode else {
                throw ReleaseError.wrongClassSet(manifest.displayName, reason: "it was announced as \(mode) for \(classSet)")
            }
            let inPlace = registry.releases(of: classSet)
            let current = (mode == .live ? inPlace.live : inPlace.shadow)?.manifest
            if let current, current.version == manifest.version { return true }
            if let current, current.version > manifest.version {
                throw ReleaseError.older(manifest.displayName, found: manifest.version, inPlace: current.version)
            }
            let kept = [inPlace.live, inPlace.previous, inPlace.shadow].compactMap { $0 }.first {
                $0.manifest.contentSHA256 == manifest.contentSHA256 && $0.manifest.model == manifest.model
                    && $0.manifest.bits == manifest.bits
            }
            let release = try kept.map { LiveRelease(manifest, sameAs: $0) } ?? fetch(manifest, client)
            try registry.install(release)
            state.withLock { $0.counters.adopted += 1 }
            logger.info(
                "release taken",
                metadata: [
                    "class_set.name": "\(classSet)", "release.version": "\(manifest.version)", "release.mode": "\(mode)",
                    "release.milliseconds": "\((ContinuousClock.now - start).milliseconds)",
                ])
            return true
        } catch  where Self.isTemporary(error) {
            logger.warning("a release can't be fetched now", metadata: ["error": "\(error)"])
            return false
        } catch {
            var reason = "\(error)"
            if case ReleaseError.older = error {
                reason += "; if its dispatcher has begun a new journal, start this worker again to follow it"
            }
            refuse(Self.code(error), reason)
            return true
        }
    }

    /// Whether it says nothing about the release: the dispatcher, the way to it, its permission for now, or this machine's disk.
    private static func isTemporary(_ error: any Error) -> Bool {
        switch error {
        case let error as ReleaseError: error.isTemporary
        case is TransportError, is Failure, is CocoaError, is POSIXError: true
        default: false
        }
    }

    private func fetch(_ manifest: ReleaseManifest, _ client: DispatcherClient) throws -> LiveRelease {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-release-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try client.download(manifest, to: file)
        let content: ReleaseContent
        do throws(TuningError) {
            content = try ReleaseContent(contentsOf: file, name: manifest.displayName)
        } catch {
            throw ReleaseError.invalid(manifest.displayName, reason: "\(error)")
        }
        try manifest.check(content)
        // On this thread alone, so that scoring keeps its own.
        return try LiveRelease(manifest, content, model: model, pool: .serial)
    }

    /// Tells the dispatcher what was answered; one that does not want to know is left alone.
    private func report(_ counts: [ScoringCounts], _ client: DispatcherClient) throws {
        do {
            _ = try client.ask(.report(ScoringReport(worker: incarnation, counts: counts)))
        } catch let error as ReleaseError {
            logger.debug("a report was refused", metadata: ["error": "\(error)"])
        } catch let error as MessageError {
            logger.debug("a report could not be made", metadata: ["error": "\(error)"])
        }
    }

    /// Class sets that jobs have named, or that have changed.
    private func fetchWanted(_ client: DispatcherClient) throws {
        for name in registry.wanted {
            do {
                let text = try client.ask(.classSet(name)).reply.classSet
                try registry.share(ClassSet(canonicalText: text, origin: name))
                logger.info("class set fetched", metadata: ["class_set.name": "\(name)"])
            } catch let error as TransportError {
                throw error
            } catch {
                registry.stopWanting(name)
                refuse(Self.code(error), "\(error)")
            }
        }
    }

    private func refuse(_ code: String, _ reason: String) {
        let isNew = state.withLock { state in
            state.counters.refused[code, default: 0] += 1
            return state.counters.refused[code] ?? 0 < 100
        }
        if isNew { logger.error("refused; what is in place stays", metadata: ["error.code": "\(code)", "error": "\(reason)"]) }
    }

    private static func code(_ error: any Error) -> String {
        switch error {
        case let error as ReleaseError: error.code
        case let error as MessageError: error.code
        case let error as CLIPError: error.code
        case let error as KeyFileError: error.code
        case let error as Failure: error.code
        default: "release.failed"
        }
    }
}
