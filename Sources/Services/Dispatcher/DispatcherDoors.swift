internal import JobQueue
internal import Logging
internal import Messages
internal import Synchronization
internal import Transport

/// The side doors of a dispatcher: a PULL socket for producers that fire and forget, a PUSH socket for plain sinks.
///
/// What comes in is journalled like everything else, but nobody is told so; what goes out is taken for read as soon as it is handed to the
/// socket, so that a sink that dies loses what it had. A producer feels BUSY as a socket that takes nothing.
package final class DispatcherDoors: Sendable {
    private let core: DispatcherCore
    private let receiver: Receiver?
    private let sender: Sender?
    private let session = Mutex<SessionID?>(nil)
    private let isStopped = Atomic<Bool>(false)

    /// Binds or connects the doors that the settings name.
    init(core: DispatcherCore, context: ZeroMQContext) throws(TransportError) {
        self.core = core
        let settings = core.settings
        var options = SocketOptions.sideDoor
        options.maxFrameBytes = settings.maximumImageBytes + 64 << 10
        receiver =
            settings.jobDoors.isEmpty
            ? nil : try Receiver(at: settings.jobDoors, in: context, options: options) { core.refuse(.malformed, "a side door", "\($0)") }
        sender = settings.resultDoors.isEmpty ? nil : try Sender(at: settings.resultDoors, in: context, options: options)
        if let sender { join(sender) }
    }

    /// Becomes a member of the group, under a new number.
    private func join(_ sender: Sender) {
        let id = core.state.withLock { SessionID($0.registry.nextNumber()) }
        if let old = session.withLock({ session in
            defer { session = id }
            return session
        }) {
            core.detachDoor(old)
        }
        core.attachDoor(id) { [weak self] delivery, body in self?.push(delivery, body, through: sender) }
        let actions = core.runner.post(.sinkReady(ready(id)))
        core.perform(actions)
        if actions.contains(where: { if case .refuseSink(id) = $0 { true } else { false } }) {
            let group = core.settings.resultDoorGroup
            core.refuse(
                .service, "the side door of results", "there is no group \(group) whose results it could give out: p4q sinks add \(group)")
        }
    }

    /// The addresses, with their real ports; empty where there is no door.
    package var endpoints: (jobs: String, results: String) { (receiver?.endpoint ?? "", sender?.endpoint ?? "") }

    private func ready(_ id: SessionID) -> SinkReady {
        SinkReady(session: id, identity: DispatcherSettings.doorIdentity, group: core.settings.resultDoorGroup, announcesHeartbeats: true)
    }

    /// A sign of life, which the queue wants of every sink. A dispatcher that stood still has dropped its own door with its other peers, and a
    /// group may be made after the door: it is joined again.
    func beat() {
        guard let sender, let id = session.withLock({ $0 }) else { return }
        let actions = core.runner.post(.heartbeat(id, []))
        core.perform(actions)
        let isDropped = actions.contains { if case .dismiss(id) = $0 { true } else { false } }
        if isDropped { join(sender) }
    }

    /// Takes jobs until it is stopped.
    func run() async {
        guard let receiver else { return }
        while let message = await receiver.next() {
            // The same again until all of it is in: what was accepted already is a duplicate.
            while let wait = await core.submitFromDoor(message.frames) {
                if isStopped.load(ordering: .relaxed) { return }
                do { try await Task.sleep(for: min(max(wait, .milliseconds(10)), .milliseconds(500))) } catch { return }
            }
        }
    }

    func stop() {
        isStopped.store(true, ordering: .relaxed)
        receiver?.stop(draining: .zero)
    }

    private func push(_ delivery: Delivery, _ body: [Frame], through sender: Sender) {
        Task {
            do throws(TransportError) {
                for frame in body { try await sender.send([frame]) }
                core.perform(core.runner.post(.acknowledge(delivery.session, Self.all(delivery))))
            } catch {
                core.perform(core.runner.post(.acknowledge(delivery.session, .failed)))
            }
        }
    }

    private static func all(_ delivery: Delivery) -> Acknowledgement {
        guard delivery.generation.rawValue > 0, let last = delivery.items.last else { return .list(delivery.items.map(\.sequence)) }
        return .through(last.sequence, delivery.generation)
    }
}
