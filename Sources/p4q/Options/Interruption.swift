import Dispatch
import Foundation
import Synchronization

/// SIGINT and SIGTERM end the process at once, with 128 and the signal's number, but not in the middle of what is protected.
final class Interruption: Sendable {
    private enum State {
        case free, busy
        case waiting(signal: Int32)
    }

    private let state = Mutex(State.free)
    // Safe: dispatch sources may be cancelled from any thread; the array is written in init only.
    nonisolated(unsafe) private var sources: [any DispatchSourceSignal] = []

    init() {
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler { [weak self] in self?.arrived(number) }
            source.resume()
            return source
        }
    }

    private func arrived(_ number: Int32) {
        let ends = state.withLock { state in
            if case .free = state { return true }
            state = .waiting(signal: number)
            return false
        }
        if ends { _exit(128 + number) }
    }

    /// Runs `body` to its end; a signal that comes meanwhile ends the process then.
    func protecting<Value>(_ body: () throws -> Value) rethrows -> Value {
        state.withLock { if case .free = $0 { $0 = .busy } }
        defer {
            let signal = state.withLock { state -> Int32? in
                defer { state = .free }
                if case .waiting(let signal) = state { return signal }
                return nil
            }
            if let signal { _exit(128 + signal) }
        }
        return try body()
    }
}
