internal import Dispatch
internal import Synchronization

/// A first-in first-out queue between threads and tasks that holds a bounded number of elements and a bounded amount of whatever `cost`
/// measures. Who puts into a full one waits, or is told so; nothing is dropped.
///
/// Waiting exists in three forms: not at all (`try…`), a thread that sleeps (`wait…`), a task that is suspended (`async`).
package final class BoundedQueue<Element: Sendable>: Sendable {
    struct Waiter: Sendable {
        let id: UInt64
        let resume: @Sendable (Element?) -> Void
    }

    struct Putter: Sendable {
        let id: UInt64
        let element: Element
        let resume: @Sendable (Bool) -> Void
    }

    private let storage: Mutex<Storage>
    let limit: Int
    let costLimit: Int
    let cost: @Sendable (Element) -> Int
    private let onElement: @Sendable () -> Void
    private let onRoom: @Sendable () -> Void

    /// A queue that is full when it has `limit` elements or they cost `costLimit` or more, so that one costly element always fits.
    ///
    /// `onElement` and `onRoom` are called, on any thread, after an element was put and after room was made in a full queue.
    package init(
        limit: Int, costLimit: Int = .max, cost: @escaping @Sendable (Element) -> Int = { _ in 0 },
        onElement: @escaping @Sendable () -> Void = {}, onRoom: @escaping @Sendable () -> Void = {}
    ) {
        self.limit = max(1, limit)
        self.costLimit = max(1, costLimit)
        self.cost = cost
        self.onElement = onElement
        self.onRoom = onRoom
        storage = Mutex(Storage())
    }

    /// The number of elements that wait.
    package var count: Int { storage.withLock { $0.count } }

    /// True if a put would be taken at once.
    package var hasRoom: Bool { storage.withLock { hasRoom($0) } }

    /// True when it is closed and everything was taken.
    package var isFinished: Bool { storage.withLock { $0.isClosed && $0.count == 0 } }

    /// Ends it: puts are refused from now on, those that wait included; what is in it can still be taken.
    package func close() {
        let (takers, putters) = storage.withLock { storage in
            storage.isClosed = true
            defer { (storage.takers, storage.putters) = ([], []) }
            return (storage.takers, storage.putters)
        }
        for taker in takers { taker.resume(nil) }
        for putter in putters { putter.resume(false) }
        onElement()
    }

    // MARK: Putting

    /// Puts if there is room; false if there is none or it is closed.
    package func tryPut(_ element: Element) -> Bool {
        let (accepted, taker) = storage.withLock { storage -> (Bool, Waiter?) in
            guard !storage.isClosed else { return (false, nil) }
            if !storage.takers.isEmpty { return (true, storage.takers.removeFirst()) }
            guard hasRoom(storage) else { return (false, nil) }
            storage.append(element, cost: cost(element))
            return (true, nil)
        }
        taker?.resume(element)
        if accepted { onElement() }
        return accepted
    }

    /// Suspends until there is room; false if it is closed or the task was cancelled, and then the element was not put.
    package func put(_ element: Element) async -> Bool {
        if tryPut(element) { return true }
        let id = nextID()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                enqueue(Putter(id: id, element: element) { continuation.resume(returning: $0) })
                if Task.isCancelled { cancelPut(id) }
            }
        } onCancel: {
            cancelPut(id)
        }
    }

    /// Blocks the thread until there is room; false if it is closed or `timeout` is over, and then the element was not put.
    package func waitPut(_ element: Element, timeout: Duration?) -> Bool {
        if tryPut(element) { return true }
        let id = nextID()
        let box = Handover<Bool>()
        enqueue(Putter(id: id, element: element, resume: box.set))
        return box.wait(timeout) { cancelPut(id) }
    }

    private func enqueue(_ putter: Putter) {
        // Room may have come, or the end, since the caller looked.
        let answer = storage.withLock { storage -> (accepted: Bool, taker: Waiter?)? in
            if storage.isClosed { return (false, nil) }
            if !storage.takers.isEmpty { return (true, storage.takers.removeFirst()) }
            guard hasRoom(storage) else {
                storage.putters.append(putter)
                return nil
            }
            storage.append(putter.element, cost: cost(putter.element))
            return (true, nil)
        }
        guard let answer else { return }
        answer.taker?.resume(putter.element)
        putter.resume(answer.accepted)
        if answer.accepted { onElement() }
    }

    private func cancelPut(_ id: UInt64) {
        let putter = storage.withLock { storage in
            storage.putters.firstIndex { $0.id == id }.map { storage.putters.remove(at: $0) }
        }
        putter?.resume(false)
    }

    // MARK: Taking

    /// The next element, or nil if there is none now.
    package func tryTake() -> Element? {
        let (element, putters, wasFull) = storage.withLock { take(&$0) }
        for putter in putters { putter.resume(true) }
        if wasFull { onRoom() }
        if !putters.isEmpty { onElement() }
        return element
    }

    /// Suspends until there is an element. nil if it is finished, `timeout` is over, or the task was cancelled.
    package func take(timeout: Duration? = nil) async -> Element? {
        if let element = tryTake() { return element }
        let id = nextID()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Safe: dispatch sources may be used from any thread; it is only cancelled after it was made.
                nonisolated(unsafe) let timer = timeout.map { makeTimer($0, id) }
                enqueue(
                    Waiter(id: id) { element in
                        timer?.cancel()
                        continuation.resume(returning: element)
                    })
                // Not before: it must find the waiter it ends.
                timer?.activate()
                if Task.isCancelled { cancelTake(id) }
            }
        } onCancel: {
            cancelTake(id)
        }
    }

    /// Blocks the thread until there is an element. nil if it is finished or `timeout` is over.
    package func waitTake(timeout: Duration?) -> Element? {
        if let element = tryTake() { return element }
        let id = nextID()
        let box = Handover<Element?>()
        enqueue(Waiter(id: id, resume: box.set))
        return box.wait(timeout) { cancelTake(id) }
    }

    /// Ends the wait of the taker `id` at `timeout` from now, once it is activated and unless it is cancelled.
    private func makeTimer(_ timeout: Duration, _ id: UInt64) -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource()
        timer.setEventHandler { [weak self] in self?.cancelTake(id) }
        timer.schedule(deadline: .now() + timeout.dispatchInterval)
        return timer
    }

    private func enqueue(_ waiter: Waiter) {
        let (isAnswered, element, putters, wasFull) = storage.withLock { storage -> (Bool, Element?, [Putter], Bool) in
            if storage.count == 0, !storage.isClosed {
                storage.takers.append(waiter)
                return (false, nil, [], false)
            }
            let taken = take(&storage)
            return (true, taken.0, taken.1, taken.2)
        }
        guard isAnswered else { return }
        for putter in putters { putter.resume(true) }
        if wasFull { onRoom() }
        if !putters.isEmpty { onElement() }
        waiter.resume(element)
    }

    private func cancelTake(_ id: UInt64) {
        let waiter = storage.withLock { storage in
            storage.takers.firstIndex { $0.id == id }.map { storage.takers.remove(at: $0) }
        }
        waiter?.resume(nil)
    }

    // MARK: Under the lock

    private func hasRoom(_ storage: borrowing Storage) -> Bool { storage.count < limit && storage.cost < costLimit }

    /// The next element, the putters whose elements moved up, and whether it had been full.
    private func take(_ storage: inout Storage) -> (Element?, [Putter], Bool) {
        let wasFull = !hasRoom(storage)
        guard let element = storage.removeFirst(cost: cost) else { return (nil, [], false) }
        var moved: [Putter] = []
        while hasRoom(storage), !storage.putters.isEmpty {
            let putter = storage.putters.removeFirst()
            storage.append(putter.element, cost: cost(putter.element))
            moved.append(putter)
        }
        return (element, moved, wasFull)
    }

    private func nextID() -> UInt64 {
        storage.withLock { storage in
            storage.lastID &+= 1
            return storage.lastID
        }
    }
}

extension BoundedQueue {
    /// What the lock guards.
    struct Storage {
        var takers: [Waiter] = []
        var putters: [Putter] = []
        var isClosed = false
        var lastID: UInt64 = 0
        private(set) var cost = 0
        private var elements: [Element?] = []
        private var head = 0

        var count: Int { elements.count - head }

        mutating func append(_ element: Element, cost: Int) {
            elements.append(element)
            self.cost &+= cost
        }

        mutating func removeFirst(cost: (Element) -> Int) -> Element? {
            guard head < elements.count, let element = elements[head] else { return nil }
            elements[head] = nil
            head += 1
            // Moving the rest up when half is used keeps the cost per element constant.
            if head * 2 >= elements.count {
                elements.removeFirst(head)
                head = 0
            }
            self.cost &-= cost(element)
            return element
        }
    }
}

/// One value that a thread waits for.
final class Handover<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let semaphore = DispatchSemaphore(value: 0)

    func set(_ new: Value) {
        value.withLock { $0 = new }
        semaphore.signal()
    }

    func get() -> Value? { value.withLock { $0 } }

    /// Blocks the thread until there is a value. For one thread, once.
    func wait() -> Value {
        while true {
            semaphore.wait()
            if let value = get() { return value }
        }
    }

    /// Blocks the thread until there is a value. When `timeout` is over, `cancel` is called, which must lead to one soon: either it sets one, or
    /// somebody else has begun to, and what that one hands over counts.
    func wait(_ timeout: Duration?, cancel: () -> Void) -> Value {
        if let timeout {
            if semaphore.wait(timeout: .now() + timeout.dispatchInterval) == .success, let value = get() { return value }
            cancel()
        }
        return wait()
    }
}

extension Duration {
    /// For Dispatch, which knows no more than an Int of nanoseconds; a year at most, 0 for a negative duration.
    var dispatchInterval: DispatchTimeInterval {
        let bounded = min(max(self, .zero), .seconds(31_536_000))
        return .nanoseconds(Int(bounded.components.seconds) * 1_000_000_000 + Int(bounded.components.attoseconds / 1_000_000_000))
    }
}
