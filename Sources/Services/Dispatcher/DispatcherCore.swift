internal import Foundation
package import JobQueue
package import Logging
internal import Messages
internal import Synchronization
internal import Transport

/// Between the sockets and the queue: reads what peers send, posts what it means, and sends what the queue decided.
///
/// `received` runs on the ROUTERs' threads, `deliver` on the queue's task; what they share is behind one lock, which is never held while
/// the queue or a socket is called.
package final class DispatcherCore: Sendable {
    struct State {
        var registry = Registry()
        var plain: PlainServices
        var counters = DispatcherCounters()
        /// When a refusal of a source was last logged.
        var logged: [String: ContinuousClock.Instant] = [:]
        /// When heartbeats last went out to all.
        var heartbeatsSent: ContinuousClock.Instant?
        /// The journal has ended, and answers nobody any more.
        var hasQueueEnded = false
    }

    let settings: DispatcherSettings
    let store: any JobStore
    let eraser: ExampleEraser
    let logger: Logger
    let state: Mutex<State>
    /// Takes a delivery to a side door, as envelope frames.
    typealias Door = @Sendable (Delivery, [Frame]) -> Void

    private let links = Mutex<(runner: PartitionRunner?, routers: [Router])>((nil, []))
    private let doors = Mutex<[SessionID: Door]>([:])
    private let desks = Mutex<ReleaseDesk?>(nil)

    package init(settings: DispatcherSettings, store: any JobStore, logger: Logger) {
        self.settings = settings
        self.store = store
        eraser = ExampleEraser(store: store)
        self.logger = logger
        state = Mutex(State(plain: PlainServices(requestLimit: settings.plainRequests)))
    }

    func attach(_ runner: PartitionRunner) { links.withLock { $0.runner = runner } }
    func attach(_ routers: [Router]) { links.withLock { $0.routers = routers } }

    func attachDoor(_ session: SessionID, _ door: @escaping Door) { doors.withLock { $0[session] = door } }
    func detachDoor(_ session: SessionID) { doors.withLock { $0[session] = nil } }
    func door(_ session: SessionID) -> Door? { doors.withLock { $0[session] } }

    func attach(_ desk: ReleaseDesk) { desks.withLock { $0 = desk } }

    /// Of all ROUTERs.
    var connections: ConnectionMonitor.Counts {
        links.withLock { $0.routers }.reduce(ConnectionMonitor.Counts()) { $0 + $1.connections }
    }

    var desk: ReleaseDesk {
        guard let desk = desks.withLock({ $0 }) else { preconditionFailure("the desk is attached before the first message") }
        return desk
    }

    var runner: PartitionRunner {
        guard let runner = links.withLock({ $0.runner }) else { preconditionFailure("the queue is attached before the first message") }
        return runner
    }

    /// What it has counted.
    package var counters: DispatcherCounters { state.withLock { $0.counters } }

    /// Whether producers' messages are read at all: what is on its way into the journal is bounded.
    var mayReceive: Bool { state.withLock { $0.registry.ingestBytes < 2 * settings.ingestBytes } }

    // MARK: Messages

    /// A message from a peer of ROUTER `router`.
    func received(_ arrival: Router.Arrival, router: Int) {
        let address = PeerAddress(router: router, peer: arrival.peer)
        if arrival.userID == SecuritySelfTest.userID { return }
        guard let caller = caller(arrival.userID) else {
            return refuse(.key, arrival.userID ?? "unauthenticated", "its key is not, or no longer, on the list")
        }
        do throws(MajordomoError) {
            let (message, dialect) = try Majordomo.parse(arrival.frames)
            handle(message, Sender(address: address, dialect: dialect, caller: caller, received: arrival.received))
        } catch {
            refuse(.malformed, caller.name, "\(error)")
        }
    }

    /// Who sent a message, and how.
    struct Sender {
        let address: PeerAddress
        let dialect: Majordomo.Dialect
        let caller: AllowList.Identity
        let received: ContinuousClock.Instant
    }

    private func caller(_ userID: String?) -> AllowList.Identity? {
        switch settings.security {
        case .open: AllowList.Identity(name: DispatcherSettings.openIdentity, roles: Set(Role.allCases))
        case .keys(_, let list): userID.flatMap(list.identity(userID:))
        }
    }

    private func handle(_ message: Majordomo.ToBroker, _ sender: Sender) {
        switch message {
        case .request(let service, let body): request(service, body, sender)
        case .ready(let service, let info): ready(service, info, sender)
        case .partial(let client, let body):
            let effects = state.withLock { $0.plain.partial(sender.address, client: client, body: body, now: .now) }
            send(effects)
        case .final(let client, let body): final(client, body, sender)
        case .heartbeat(let info): heartbeat(info, sender)
        case .disconnect: left(sender.address, .goodbye)
        }
    }

    private func request(_ service: String, _ body: [Frame], _ sender: Sender) {
        if service.hasPrefix("mmi.") { return reply(to: sender, service, management(service, body)) }
        switch service {
        case JobQuery.service: allowed(sender, [.producer, .admin], service) { query(body, sender) }
        case ReleaseRequest.service: releases(body, sender)
        case AdminRequest.service: allowed(sender, [.admin], service) { administer(body, sender) }
        case _ where DispatcherSettings.isQueueService(service):
            allowed(sender, [.producer], service) { submit(service, body, sender) }
        case _ where DispatcherSettings.group(of: service) != nil:
            refuse(.service, sender.caller.name, "\(service) is for sinks; it takes no requests")
        default:
            let request = PlainServices.Request(client: sender.address, dialect: sender.dialect, body: body, arrived: .now)
            allowed(sender, [.producer], service) {
                guard let effects = state.withLock({ $0.plain.request(request, for: service, now: .now) }) else {
                    return refuse(.room, sender.caller.name, "too many requests wait for workers of \(service), or of all plain services")
                }
                send(effects)
            }
        }
    }

    /// RFC 8: `mmi.service` tells whether a service is served; nothing else is known.
    private func management(_ service: String, _ body: [Frame]) -> [[UInt8]] {
        guard service == "mmi.service", let name = body.first.map({ String(decoding: $0.bytes, as: UTF8.self) }) else {
            return [Array("501".utf8)]
        }
        let isServed = state.withLock { state in
            state.plain.isServed(name) || state.registry.sessions.values.contains { $0.service == name }
        }
        return [Array((isServed ? "200" : "404").utf8)]
    }

    /// Does it if the sender has one of the roles; tells the sender otherwise.
    func allowed(_ sender: Sender, _ roles: Set<Role>, _ service: String, _ body: () -> Void) {
        guard sender.caller.roles.isDisjoint(with: roles) else { return body() }
        let need = roles.map(\.rawValue).sorted().joined(separator: " or ")
        refuse(.role, sender.caller.name, "\(service) needs the role \(need)")
        let failure = Failure(
            code: "access.forbidden", stage: .message, message: "\(sender.caller.name) may not use \(service): it needs the role \(need)",
            retryable: false)
        guard let envelopes = try? SubmitReply(batchID: "", receipts: [], failure: failure).encode() else { return }
        reply(to: sender, service, envelopes)
    }

    // MARK: Sending

    func reply(to sender: Sender, _ service: String, _ body: [[UInt8]], isFinal: Bool = true) {
        reply(to: sender.address, sender.dialect, service, body, isFinal: isFinal)
    }

    func reply(to address: PeerAddress, _ dialect: Majordomo.Dialect, _ service: String, _ body: [[UInt8]], isFinal: Bool = true) {
        build(address) { () throws(TransportError) in
            var frames: [Frame] = []
            for bytes in body { frames.append(try Frame(bytes)) }
            return try Majordomo.toClient(Majordomo.ToClient(service: service, body: frames, isFinal: isFinal), dialect)
        }
    }

    func send(_ message: Majordomo.ToWorker, to address: PeerAddress, _ dialect: Majordomo.Dialect) {
        build(address) { () throws(TransportError) in try Majordomo.toWorker(message, dialect) }
    }

    func send(_ effects: [PlainServices.Effect]) {
        for effect in effects {
            switch effect {
            case .toWorker(let address, let message, let dialect): send(message, to: address, dialect)
            case .toClient(let address, let message, let dialect):
                build(address) { () throws(TransportError) in try Majordomo.toClient(message, dialect) }
            }
        }
    }

    private func build(_ address: PeerAddress, _ frames: () throws(TransportError) -> [Frame]) {
        do throws(TransportError) {
            let frames = try frames()
            let router = links.withLock { links in links.routers.indices.contains(address.router) ? links.routers[address.router] : nil }
            router?.send(frames, to: address.peer)
        } catch {
            logger.error("a message could not be made", metadata: ["error": "\(error)"])
        }
    }

    /// A message could not be sent: whoever it was for is gone, or doesn't take what it asked for.
    func undelivered(_ peer: Router.Peer, _ why: Router.Undelivered, router: Int) {
        let address = PeerAddress(router: router, peer: peer)
        switch why {
        case .gone: left(address, .disconnected)
        case .full:
            state.withLock { $0.counters.full += 1 }
            left(address, .evicted)
        }
    }

    // MARK: What is refused

    /// Counts a refusal, and logs it once for each source in ten seconds.
    func refuse(_ kind: Refusal, _ source: String, _ reason: String) {
        let now = ContinuousClock.now
        let isNew = state.withLock { state in
            state.counters.refused[kind, default: 0] += 1
            if let last = state.logged[source], now - last < .seconds(10) { return false }
            if state.logged.count > 1000 { state.logged.removeAll() }
            state.logged[source] = now
            return true
        }
        if isNew { logger.warning("refused", metadata: ["peer": "\(source)", "reason": "\(reason)"]) }
    }
}

/// What a dispatcher has counted besides its queue.
package struct DispatcherCounters: Sendable {
    /// Messages and connections that were refused.
    package var refused: [Refusal: UInt64] = [:]
    /// Peers that did not take what they had asked for.
    package var full: UInt64 = 0
    /// Jobs and batches of jobs that can't be used, by code.
    package var invalid: [String: UInt64] = [:]
    /// Jobs that workers rejected for good, by code.
    package var rejected: [String: UInt64] = [:]
    /// Jobs that were lost at a side door because another one had their id.
    package var doorConflicts: UInt64 = 0
    package var requests: UInt64 = 0
}

/// Why something was refused; the raw value is what metrics and JSON show.
package enum Refusal: String, Hashable, Sendable, CaseIterable {
    /// A key that is not, or no longer, on the list.
    case key
    /// The caller may not do it.
    case role
    /// It is no Majordomo, or its body can't be read.
    case malformed
    /// The service takes no such message.
    case service
    /// Too many requests of plain services wait.
    case room
    /// Of what was never sent, or by somebody else.
    case acknowledgement
    /// The list of keys can't be read, and stays as it was.
    case keyList = "key_list"
}

extension [String: UInt64] {
    /// Counts one; codes beyond the first 100 are counted together, since workers may send any.
    mutating func count(_ code: String) { self[self[code] != nil || count < 100 ? code : "other", default: 0] += 1 }
}
