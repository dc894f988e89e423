import Dispatch
import Foundation

/// Calls back on the first SIGTERM or SIGINT; a second one ends the process.
final class StopSignals: Sendable {
    // Safe: dispatch sources may be cancelled from any thread; the array is written in init only.
    nonisolated(unsafe) private let sources: [any DispatchSourceSignal]
    private let second: SecondSignal

    init(_ stop: @escaping @Sendable () -> Void) {
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler(handler: stop)
            source.resume()
            return source
        }
        // Not before: ignoring a signal that Dispatch watches already would take its handler away.
        second = SecondSignal()
    }

    func cancel() {
        for source in sources { source.cancel() }
        second.cancel()
    }
}
