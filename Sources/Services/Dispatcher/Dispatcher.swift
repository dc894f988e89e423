package import JobQueue
package import Logging
internal import Messages
internal import ServiceLifecycle
internal import Synchronization
package import Transport

/// The durable broker: one process between producers, workers and sinks.
package struct Dispatcher: Service {
    package let core: DispatcherCore
    private let runner: PartitionRunner
    private let routers: [Router]
    private let authenticator: Authenticator?
    private let doors: DispatcherDoors
    private let desk: ReleaseDesk
    private let releaseSender: Sender?
    private let settings: DispatcherSettings
    private let logger: Logger
    private let context: ZeroMQContext
    private let fault: Fault

    /// Takes the journal over, lets the strangers' test fail, and binds.
    ///
    /// Throws `JobQueueError` and `TransportError`.
    package init(settings: DispatcherSettings, store: any JobStore, context: ZeroMQContext, logger: Logger) async throws {
        self.settings = settings
        self.logger = logger
        self.context = context
        let core = DispatcherCore(settings: settings, store: store, logger: logger)
        self.core = core
        let fault = Fault()
        self.fault = fault
        runner = try await PartitionRunner.open(store: store, configuration: settings.queue) { core.deliver($0) }
        core.attach(runner)
        let tester = try CurveKeyPair()
        if case .keys(_, let list) = settings.security {
            authenticator = try Authenticator(
                in: context, domain: DispatcherSecurity.domain,
                decide: { $0 == tester.publicKey ? SecuritySelfTest.userID : list.userID(of: $0) },
                onRefused: { address, key in core.refuse(.key, key?.text ?? address, "its key is not on the list") },
                onEnd: { fault.report($0) })
        } else {
            authenticator = nil
        }
        let runner = runner
        releaseSender =
            settings.releaseEvents.isEmpty
            ? nil : try Sender(.publish, at: settings.releaseEvents, in: context, options: Self.options(settings)) { fault.report($0) }
        desk = try await ReleaseDesk(
            store: store, epoch: runner.read { $0.epoch }, events: releaseSender,
            // The socket knows the real port of the last one only.
            endpoints: releaseSender.map { settings.releaseEvents.dropLast().map(\.address) + [$0.endpoint] } ?? [], logger: logger)
        core.attach(desk)
        var routers: [Router] = []
        for (index, endpoints) in settings.endpoints.enumerated() {
            let handlers = Router.Handlers(
                received: { core.received($0, router: index) }, undelivered: { core.undelivered($0, $1, router: index) },
                failed: { error in
                    switch error {
                    case .tooManyFrames, .frameTooLarge: core.refuse(.malformed, "a peer", "\(error)")
                    default: fault.report(error)
                    }
                }, mayReceive: { core.mayReceive })
            routers.append(try Router(at: endpoints, in: context, options: Self.options(settings), handlers: handlers))
        }
        self.routers = routers
        core.attach(routers)
        doors = try DispatcherDoors(core: core, context: context)
        if case .keys(let pair, _) = settings.security {
            for router in routers {
                try await SecuritySelfTest.run(endpoint: router.endpoint, serverKey: pair.publicKey, known: tester, context: context)
            }
        }
    }

    /// What the ROUTERs' sockets are set to.
    private static func options(_ settings: DispatcherSettings) -> SocketOptions {
        var options = SocketOptions()
        options.linger = .zero
        // Towards workers: their credit, heartbeats and receipts.
        options.sendHighWater = 66
        options.maxFrameBytes = settings.maximumImageBytes + 64 << 10
        options.security = settings.security.socket
        return options
    }

    /// The addresses it can be reached at, with their real ports; one for each ROUTER.
    package var endpoints: [String] { routers.map(\.endpoint) }

    /// Where it tells of releases, with the real port; empty if nowhere.
    package var releaseEndpoint: String { releaseSender?.endpoint ?? "" }

    /// Goes by other numbers from now on.
    package func reconfigure(_ queue: QueueConfiguration) { core.perform(runner.post(.configure(queue))) }

    /// What ended a thread that the dispatcher can't do without.
    private final class Fault: Sendable {
        private let error = Mutex<(any Error)?>(nil)
        func report(_ new: any Error) { error.withLock { $0 = $0 ?? new } }
        var reported: (any Error)? { error.withLock { $0 } }
    }

    package func run() async throws {
        logger.info("dispatcher ready", metadata: ["endpoints": "\(endpoints.joined(separator: " "))"])
        if !settings.jobDoors.isEmpty || !settings.resultDoors.isEmpty {
            let (jobs, results) = doors.endpoints
            logger.info("side doors", metadata: ["jobs.endpoint": "\(jobs)", "results.endpoint": "\(results)"])
        }
        if let releaseSender { logger.info("release events", metadata: ["releases.endpoint": "\(releaseSender.endpoint)"]) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [desk] in await desk.run() }
            group.addTask { [runner, fault, core, doors] in
                do { try await runner.run() } catch {
                    // Nobody else would hear of it before the end.
                    fault.report(error)
                    doors.stop()
                    core.queueEnded()
                    throw error
                }
            }
            group.addTask { [doors] in await doors.run() }
            // What a dispatcher that was killed had not overwritten yet.
            group.addTask { [core, logger] in
                do { try await core.eraser.erase([]) } catch {
                    logger.error("what is forgotten can't be erased now", metadata: ["error": "\(error)"])
                }
            }
            try await withGracefulShutdownHandler {
                try await cancelWhenGracefulShutdown { try await beat() }
            } onGracefulShutdown: {
            }
            logger.info("stopping: nothing new is leased or taken")
            doors.stop()
            core.perform(runner.post(.stop))
            let end = ContinuousClock.now + settings.drainLimit
            while ContinuousClock.now < end, runner.read({ $0.figures(now: runner.now).inFlight }) > 0, fault.reported == nil {
                core.sendHeartbeats()
                try? await Task.sleep(for: .milliseconds(100))
            }
            desk.stop()
            runner.finish()
            try await group.waitForAll()
        }
        for router in routers { await router.close() }
        _ = await releaseSender?.close(flushing: .zero)
        if let error = fault.reported { throw error }
        logger.info("dispatcher stopped")
    }

    /// Sends heartbeats until it is told to stop, or a thread has ended.
    private func beat() async throws {
        var lastReload = ContinuousClock.now
        while !Task.isCancelled {
            if let error = fault.reported { throw error }
            core.sendHeartbeats()
            doors.beat()
            desk.beacon()
            if case .keys(_, let list) = settings.security, ContinuousClock.now - lastReload > .seconds(1) {
                lastReload = .now
                do throws(KeyFileError) {
                    try list.reload()
                } catch {
                    core.refuse(.keyList, "the list of keys", "it stays as it was: \(error)")
                }
            }
            do { try await Task.sleep(for: settings.heartbeat) } catch { return }
        }
    }
}
