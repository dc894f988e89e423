internal import CKernels
internal import Foundation
internal import Synchronization

/// A fixed set of threads that runs counted loops; the caller is one of them.
///
/// Waiting threads spin for a few microseconds, because the parts of one image follow each other closely, and then sleep, because the cores
/// also decode. One loop runs at a time; a second caller waits for it. Loop bodies must not start loops on the same pool.
package final class ThreadPool: Sendable {
    /// Threads that run a loop, the caller included.
    package let threads: Int
    private let shared: Shared

    package init(threads: Int) {
        precondition(threads >= 1, "a pool has at least one thread")
        self.threads = threads
        let shared = Shared()
        self.shared = shared
        for index in 1..<max(threads, 1) where threads > 1 {
            let thread = Thread { shared.serve() }
            thread.name = "p4q-pool-\(index)"
            thread.stackSize = 1 << 20
            thread.start()
        }
    }

    deinit { shared.stop() }

    /// Calls `body` with 0, 1, ... `count - 1`, each once, on the pool's threads, and returns when all have returned.
    package func forEach(_ count: Int, _ body: (Int) -> Void) {
        if threads == 1 || count <= 1 {
            for index in 0..<max(count, 0) { body(index) }
            return
        }
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: body) { shared.run(count, helpers: min(threads, count) - 1, $0) }
        }
    }

    /// Splits `0..<count` into at most `threads` runs of whole `multiple`s, of nearly equal length, and calls `body` with each.
    package func forEachRange(_ count: Int, multiple: Int = 1, _ body: (Range<Int>) -> Void) {
        let units = (count + multiple - 1) / multiple
        let parts = max(1, min(threads, units))
        forEach(parts) { part in
            let lower = units * part / parts * multiple
            let upper = min(count, units * (part + 1) / parts * multiple)
            if lower < upper { body(lower..<upper) }
        }
    }
}

extension ThreadPool {
    /// What the threads share. The loop in progress is published by its generation number.
    private final class Shared: @unchecked Sendable {
        // Safe: `condition` guards `body`, `count`, `seats` and `stopped`; the counters are atomic; `body` points into `run`'s frame and is only
        // followed between the moment a thread takes a seat (under the lock) and the moment it leaves (`active`), and `run` returns after the
        // last one has left. A thread keeps no copy of the closure itself, which must not outlive `run`.
        private let condition = NSCondition()
        private let gate = NSLock()
        private let generation = Atomic<Int>(0)
        private let next = Atomic<Int>(0)
        private let active = Atomic<Int>(0)
        private var body: UnsafePointer<(Int) -> Void>?
        private var count = 0
        private var seats = 0
        private var stopped = false

        func run(_ count: Int, helpers: Int, _ body: UnsafePointer<(Int) -> Void>) {
            gate.lock()
            defer { gate.unlock() }
            condition.lock()
            self.body = body
            self.count = count
            seats = helpers
            next.store(0, ordering: .relaxed)
            generation.wrappingAdd(1, ordering: .releasing)
            condition.broadcast()
            condition.unlock()
            drain(count, body)
            condition.lock()
            seats = 0
            self.body = nil
            condition.unlock()
            var spins = 0
            while active.load(ordering: .acquiring) > 0 {
                spins += 1
                if spins < 20_000 { p4q_pause() } else { waitForHelpers() }
            }
        }

        func serve() {
            var seen = 0
            while true {
                var spins = 0
                while generation.load(ordering: .acquiring) == seen && spins < 4_000 {
                    p4q_pause()
                    spins += 1
                }
                condition.lock()
                while generation.load(ordering: .relaxed) == seen && !stopped { condition.wait() }
                seen = generation.load(ordering: .relaxed)
                if stopped {
                    condition.unlock()
                    return
                }
                guard seats > 0, let body else {
                    condition.unlock()
                    continue
                }
                seats -= 1
                let count = self.count
                active.wrappingAdd(1, ordering: .relaxed)
                condition.unlock()
                drain(count, body)
                condition.lock()
                active.wrappingSubtract(1, ordering: .releasing)
                condition.broadcast()
                condition.unlock()
            }
        }

        func stop() {
            condition.lock()
            stopped = true
            condition.broadcast()
            condition.unlock()
        }

        private func drain(_ count: Int, _ body: UnsafePointer<(Int) -> Void>) {
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                if index >= count { return }
                body.pointee(index)
            }
        }

        private func waitForHelpers() {
            condition.lock()
            while active.load(ordering: .acquiring) > 0 { condition.wait() }
            condition.unlock()
        }

    }
}
