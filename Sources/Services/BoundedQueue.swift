package import Foundation

/// A bounded queue between threads: a full one makes its producers wait, an empty one its consumers.
package final class BoundedQueue<Element: Sendable>: @unchecked Sendable {
    // Safe: `condition` guards every stored property.
    private let condition = NSCondition()
    private let capacity: Int
    private var elements: [Element] = []
    private var head = 0
    private var isClosed = false

    package init(capacity: Int) {
        precondition(capacity > 0, "a queue holds at least one element")
        self.capacity = capacity
    }

    package var count: Int {
        condition.withLock { elements.count - head }
    }

    /// Adds an element, waiting for room. False: the queue is closed and the element was not taken.
    package func put(_ element: Element) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while elements.count - head >= capacity && !isClosed { condition.wait() }
        if isClosed { return false }
        elements.append(element)
        condition.broadcast()
        return true
    }

    /// The next element, waiting for one; nil once the queue is closed and empty, or when `deadline` has passed.
    package func take(until deadline: Date? = nil) -> Element? {
        condition.lock()
        defer { condition.unlock() }
        return next(deadline)
    }

    /// The next elements: waits for the first, then until there are `maximum` or `wait` has passed. Empty once closed and drained.
    package func takeBatch(maximum: Int, wait: TimeInterval) -> [Element] {
        condition.lock()
        defer { condition.unlock() }
        guard let first = next(nil) else { return [] }
        var batch = [first]
        let deadline = Date(timeIntervalSinceNow: wait)
        while batch.count < maximum, let element = next(deadline) { batch.append(element) }
        return batch
    }

    /// No more elements: producers are refused, consumers get what is left.
    package func close() {
        condition.lock()
        isClosed = true
        condition.broadcast()
        condition.unlock()
    }

    private func next(_ deadline: Date?) -> Element? {
        while head == elements.count {
            if isClosed { return nil }
            if let deadline {
                if !condition.wait(until: deadline) && head == elements.count { return nil }
            } else {
                condition.wait()
            }
        }
        let element = elements[head]
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 256 {
            elements.removeFirst(head)
            head = 0
        }
        condition.broadcast()
        return element
    }
}
