import Dispatch
import Foundation
import Synchronization

/// Ends the process when SIGTERM or SIGINT comes a second time, after `last`.
final class SecondSignal: Sendable {
    private let seen = Atomic<Int>(0)
    // Safe: dispatch sources may be cancelled from any thread; the array is written in init only.
    nonisolated(unsafe) private var sources: [any DispatchSourceSignal] = []

    init(last: @escaping @Sendable () -> Void = {}) {
        sources = [SIGTERM, SIGINT].map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [weak self] in
                guard let self else { return }
                guard seen.wrappingAdd(1, ordering: .relaxed).newValue > 1 else { return }
                last()
                _exit(128 + number)
            }
            source.resume()
            return source
        }
    }

    func cancel() { for source in sources { source.cancel() } }
}
