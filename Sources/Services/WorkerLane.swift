internal import Logging
internal import Messages
internal import Synchronization
internal import Transport

/// One connection of a worker to its dispatcher, with one batch in flight: a DEALER on a thread of its own that speaks Majordomo.
///
/// It reconnects by itself, with growing waits. Answers are kept until the dispatcher has them, and sent again after a reconnection; another maker's
/// broker acknowledges nothing, so what is sent to it is gone.
final class WorkerLane: Sendable {
    /// What a lane needs to know.
    struct Settings: Sendable {
        var endpoint: Endpoint
        var options: SocketOptions
        var service: String
        var info: PeerInfo
        /// `broker.liveness` silent ones end the connection.
        var heartbeat: Duration = .seconds(1)
        /// How long a stopping lane waits for receipts.
        var farewell: Duration = .seconds(5)
        var broker = WorkerBroker.p4q
        /// Whether this lane, for all of its worker, says that the dispatcher turns the worker away.
        var tellsRefusal = true
    }

    /// A batch as it came.
    struct Request: Sendable {
        let client: Frame
        let body: [Frame]
        let received: ContinuousClock.Instant
    }

    private struct Mail {
        var answers: [LeaseLedger.Answer] = []
        var heartbeat: HeartbeatInfo?
        var echoes: [UInt64: @Sendable () -> Void] = [:]
        var isStopping = false
        /// It may leave: the worker holds nothing of it any more.
        var mayLeave = false
        var thread: SocketThread?
        var heard: ContinuousClock.Instant?
    }

    private let settings: Settings
    private let mail = Mutex(Mail())
    private let onRequest: @Sendable (Request) -> Void
    private let logger: Logger
    private let thread = Mutex<SocketThread?>(nil)

    init(
        settings: Settings, context: ZeroMQContext, logger: Logger, onRequest: @escaping @Sendable (Request) -> Void
    ) throws(TransportError) {
        self.settings = settings
        self.logger = logger
        self.onRequest = onRequest
        let made = try SocketThread(
            name: "p4q-lane", endpoints: [settings.endpoint],
            open: { () throws(TransportError) in try Socket(.dealer, in: context, options: settings.options) }
        ) { [weak self] thread, socket in
            self?.mail.withLock { $0.thread = thread }
            self?.run(thread, socket, context)
            self?.mail.withLock { $0.thread = nil }
        }
        thread.withLock { $0 = made }
    }

    /// Sends a complete answer, and keeps it until it is acknowledged.
    func send(_ answer: LeaseLedger.Answer) { post { $0.answers.append(answer) } }

    /// Sends this instead of an older heartbeat that was not sent yet.
    func send(_ heartbeat: HeartbeatInfo) { post { $0.heartbeat = heartbeat } }

    /// Sends a heartbeat, and calls back when the dispatcher has answered it.
    func send(_ heartbeat: HeartbeatInfo, whenHeard: @escaping @Sendable () -> Void) {
        post { mail in
            mail.heartbeat = heartbeat
            mail.echoes[heartbeat.echo] = whenHeard
        }
    }

    /// Takes no more batches; leaves when `leave` is called and everything is acknowledged.
    func stop() { post { $0.isStopping = true } }
    func leave() { post { ($0.isStopping, $0.mayLeave) = (true, true) } }

    /// How long nothing has been heard; very long if nothing ever was.
    var silence: Duration { mail.withLock { $0.heard }.map { ContinuousClock.now - $0 } ?? .seconds(1_000_000) }

    func finished() async { await thread.withLock { $0 }?.finished() }

    private func post(_ change: (inout Mail) -> Void) {
        let thread = mail.withLock { mail in
            change(&mail)
            return mail.thread
        }
        thread?.wake()
    }

    // MARK: The thread

    private struct Connection {
        var socket: Socket
        /// When something came, or when READY is due, if that is later: before it nothing can come.
        var heard = ContinuousClock.now
        /// When READY is due; nil once it was said.
        var readyAt: ContinuousClock.Instant? = .now
        var isReady = false
        /// A request came that is not answered: some brokers send no heartbeats then.
        var isBusy = false
        var backoff = Duration.milliseconds(100)
        /// Times in a row that READY was answered with DISCONNECT.
        var refusals = 0
        /// Connections in a row on which nothing came.
        var silentOnes = 0
    }

    private func run(_ thread: SocketThread, _ first: Socket, _ context: ZeroMQContext) {
        var connection = Connection(socket: first)
        var unacknowledged: [LeaseLedger.Answer] = []
        var leaveBy: ContinuousClock.Instant?
        do {
            while true {
                let (answers, heartbeat, isStopping, mayLeave) = mail.withLock { mail in
                    defer { (mail.answers, mail.heartbeat) = ([], nil) }
                    return (mail.answers, mail.heartbeat, mail.isStopping, mail.mayLeave)
                }
                for answer in answers {
                    if settings.broker.isDispatcher { unacknowledged.append(answer) }
                    let isSent = try connection.isReady && send(answer, connection.socket)
                    if !isSent, !settings.broker.isDispatcher {
                        logger.warning(
                            "an answer is lost: its broker is gone, and who asked must ask again",
                            metadata: ["batch.id": "\(answer.batch.id)"])
                    }
                    connection.isBusy = false
                }
                if let heartbeat, connection.isReady {
                    let info = settings.broker.isDispatcher ? try Frame(try heartbeat.encode()) : nil
                    try send(.heartbeat(info: info), connection.socket)
                }
                if mayLeave {
                    leaveBy = leaveBy ?? .now + settings.farewell
                    if unacknowledged.isEmpty || leaveBy ?? .now <= .now {
                        try send(.disconnect, connection.socket)
                        return
                    }
                }
                if let at = connection.readyAt, at <= .now { try introduce(&connection, unacknowledged, isStopping: isStopping) }
                try receive(&connection, &unacknowledged)
                let isAwaited = settings.broker.isDispatcher || !connection.isBusy
                if isAwaited, ContinuousClock.now - connection.heard > settings.heartbeat * settings.broker.liveness {
                    try reconnect(&connection, context)
                }
                try thread.wait(for: .reading, of: connection.socket, timeout: .milliseconds(connection.readyAt == nil ? 250 : 50))
            }
        } catch {
            if error as? TransportError != .shutDown { logger.error("a connection ended", metadata: ["error": "\(error)"]) }
        }
    }

    /// Answers that nobody has acknowledged, then READY. A stopping worker only hands its answers over.
    private func introduce(_ connection: inout Connection, _ answers: [LeaseLedger.Answer], isStopping: Bool) throws {
        connection.readyAt = nil
        for answer in answers { try send(answer, connection.socket) }
        let info = settings.broker.isDispatcher ? try Frame(try settings.info.encode()) : nil
        if !isStopping, try !send(.ready(service: settings.service, info: info), connection.socket) {
            // Not connected yet. A broker need not answer the heartbeats of a worker that it never heard of.
            connection.readyAt = .now + .milliseconds(50)
            return
        }
        connection.isReady = true
        connection.heard = .now
    }

    private func receive(_ connection: inout Connection, _ unacknowledged: inout [LeaseLedger.Answer]) throws {
        while let frames = try connection.socket.receive(timeout: .zero) {
            connection.heard = .now
            mail.withLock { $0.heard = .now }
            if connection.silentOnes >= Self.silentOnesTold, settings.tellsRefusal {
                logger.notice("the dispatcher is heard again", metadata: ["dispatcher": "\(settings.endpoint.address)"])
            }
            connection.silentOnes = 0
            let message: Majordomo.ToWorker
            do throws(MajordomoError) {
                (message, _) = try Majordomo.parseForWorker(frames)
            } catch {
                logger.warning("the dispatcher's message can't be read", metadata: ["error": "\(error)"])
                continue
            }
            switch message {
            case .request(let client, let body):
                (connection.backoff, connection.refusals) = (.milliseconds(100), 0)
                connection.isBusy = true
                onRequest(Request(client: client, body: body, received: .now))
            case .heartbeat(let info):
                if connection.isReady { (connection.backoff, connection.refusals) = (.milliseconds(100), 0) }
                guard let info, let beat = try? HeartbeatInfo(frame: info.bytes) else { continue }
                if beat.echo > 0 { mail.withLock { $0.echoes.removeValue(forKey: beat.echo) }?() }
                let receipts = Set(beat.receipts.map(\.lease))
                if !receipts.isEmpty { unacknowledged.removeAll { !$0.leases.isDisjoint(with: receipts) } }
            case .disconnect:
                // The dispatcher doesn't know us (any more): say READY again, not too often.
                if connection.isReady { refused(&connection) }
                connection.isReady = false
                wait(&connection)
            }
        }
    }

    /// One that has forgotten us takes the next READY; one that never does has no use for us.
    private func refused(_ connection: inout Connection) {
        connection.refusals += 1
        guard connection.refusals == 3, settings.tellsRefusal else { return }
        logger.error(
            "the dispatcher turns this worker away: does its key have the role for this service (p4q keys allow)? It goes on asking",
            metadata: ["dispatcher": "\(settings.endpoint.address)", "service": "\(settings.service)"])
    }

    /// A silent dispatcher may be gone with its machine: a new connection finds out.
    private func reconnect(_ connection: inout Connection, _ context: ZeroMQContext) throws {
        let socket = try Socket(.dealer, in: context, options: settings.options)
        try socket.attach(settings.endpoint)
        logger.debug("the dispatcher is silent: connecting again", metadata: ["endpoint": "\(settings.endpoint)"])
        let (backoff, silentOnes) = (connection.backoff, connection.silentOnes + 1)
        connection = Connection(socket: socket, backoff: backoff, silentOnes: silentOnes)
        wait(&connection)
        // A key that the dispatcher doesn't know is refused by ZeroMQ without a word.
        guard silentOnes == Self.silentOnesTold, settings.tellsRefusal else { return }
        logger.warning(
            "nothing is heard from the dispatcher: does it run there, and does it know this worker's key (p4q keys allow)? It goes on asking",
            metadata: ["dispatcher": "\(settings.endpoint.address)", "service": "\(settings.service)"])
    }

    private static let silentOnesTold = 3

    /// The next READY comes after a wait, and the one after it after a longer one.
    private func wait(_ connection: inout Connection) {
        let at = ContinuousClock.now + connection.backoff
        (connection.readyAt, connection.heard) = (at, at)
        connection.backoff = min(connection.backoff * 2, .seconds(5))
    }

    @discardableResult
    private func send(_ answer: LeaseLedger.Answer, _ socket: Socket) throws -> Bool {
        var body: [Frame] = []
        let envelopes = settings.broker.isDispatcher ? try answer.batch.encode() : try answer.batch.resultBatch.encode()
        for envelope in envelopes { body.append(try Frame(envelope)) }
        return try send(.final(client: answer.client, body: body), socket)
    }

    /// False if it can't be sent now; it is sent again after the reconnection that follows: a dispatcher that takes nothing is soon silent.
    @discardableResult
    private func send(_ message: Majordomo.ToBroker, _ socket: Socket) throws -> Bool {
        do throws(TransportError) {
            try socket.send(try Majordomo.fromWorker(message, settings.broker.dialect), timeout: .zero)
            return true
        } catch {
            guard case .timedOut = error else { throw error }
            return false
        }
    }
}
