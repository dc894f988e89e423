import Foundation
import Synchronization
import Testing
import Transport

@Suite struct ReceiverSenderTests {
    @Test(arguments: Endpoint.Transport.allCases)
    func `thousands of messages from several tasks each arrive exactly once`(transport: Endpoint.Transport) async throws {
        let context = try ZeroMQContext()
        let receiver = try Receiver(at: [Place.fresh(transport)], in: context)
        let sender = try Sender(at: [try Endpoint(receiver.endpoint, default: .connect)], in: context)
        let total = 8_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            for part in 0..<8 {
                group.addTask {
                    if part % 2 == 0 {
                        for number in stride(from: part, to: total, by: 8) { try await sender.send(message(number)) }
                    } else {
                        try await blocking {
                            for number in stride(from: part, to: total, by: 8) { try sender.send(message(number), timeout: .seconds(60)) }
                        }
                    }
                }
            }
            var seen = Set<Int>()
            for _ in 0..<total {
                let message = try #require(await receiver.queue.take(timeout: .seconds(60)))
                let number = try #require(Int(String(decoding: message.frames[0].bytes, as: UTF8.self)))
                #expect(message.frames[1].bytes == pattern(number % 300, seed: number))
                seen.insert(number)
            }
            #expect(seen.count == total)
            try await group.waitForAll()
        }
        #expect(await sender.close(flushing: .seconds(5)).isEmpty)
        receiver.stop(draining: .zero)
        #expect(await receiver.next() == nil)
        await receiver.finished()
    }

    @Test func `a full queue stops the receiver, then the sender, and nothing is lost`() async throws {
        var limits = Receiver.Limits()
        limits.messages = 4
        let context = try ZeroMQContext()
        let receiver = try Receiver(at: [Place.fresh(.inproc)], in: context, limits: limits)
        let sender = try Sender(at: [try Endpoint(receiver.endpoint, default: .connect)], in: context, limit: 3)
        let sent = try await blocking {
            (0..<200).first { (try? sender.send([Frame([UInt8($0)])], timeout: .milliseconds(500))) == nil } ?? 200
        }
        // libzmq's two marks of 16 (inproc adds them), the message in the sender's hand, and its queue; and the receiver's queue, of which
        // libzmq tells the sender only when half of the marks was read.
        #expect((32 + 1 + 3...32 + 1 + 3 + 4).contains(sent))
        #expect(receiver.queue.count == 4)
        for number in 0..<sent {
            #expect(await receiver.queue.take(timeout: .seconds(10))?.frames[0].bytes == [UInt8(number)])
        }
        try await sender.send([try Frame([99])])
        #expect(await receiver.next()?.frames[0].bytes == [99])
    }

    @Test func `the receiver's queue is bounded in bytes too`() async throws {
        var limits = Receiver.Limits()
        limits.bytes = 100_000
        let context = try ZeroMQContext()
        let receiver = try Receiver(at: [Place.fresh(.inproc)], in: context, limits: limits)
        let sender = try Sender(at: [try Endpoint(receiver.endpoint, default: .connect)], in: context)
        for _ in 0..<10 { try await sender.send([try Frame(pattern(40_000))]) }
        try await Task.sleep(for: .milliseconds(300))
        #expect(receiver.queue.count == 3)
        for _ in 0..<10 { #expect(await receiver.queue.take(timeout: .seconds(10))?.byteCount == 40_000) }
    }

    @Test func `what could not be sent is handed back`() async throws {
        let context = try ZeroMQContext()
        let sender = try Sender(at: [try Endpoint("tcp://127.0.0.1:1", default: .connect)], in: context)
        for number in 0..<10 { try await sender.send([try Frame([UInt8(number)])]) }
        let begin = ContinuousClock.now
        let unsent = await sender.close(flushing: .milliseconds(200))
        #expect(unsent.map { $0[0].bytes } == (0..<10).map { [UInt8($0)] })
        #expect(ContinuousClock.now - begin >= .milliseconds(200))
        await #expect(throws: TransportError.closed(endpoint: "tcp://127.0.0.1:1")) { try await sender.send([]) }
    }

    @Test func `closing flushes to a peer that comes late`() async throws {
        let context = try ZeroMQContext()
        // A port that was free a moment ago. Not ipc, where libzmq drops what a closed producer left in the socket's buffer.
        let probing = try ZeroMQContext()
        let probe = try Receiver(at: [Place.fresh(.tcp)], in: probing)
        let place = try Endpoint(probe.endpoint, default: .connect)
        probe.stop(draining: .zero)
        probe.join()
        probing.terminate()
        // What libzmq has taken must survive a machine that is busy with other tests.
        var options = SocketOptions.sideDoor
        options.linger = .seconds(60)
        let sender = try Sender(at: [place], in: context, options: options)
        for number in 0..<50 { try await sender.send([try Frame([UInt8(number)])]) }
        async let unsent = sender.close(flushing: .seconds(20))
        try await Task.sleep(for: .milliseconds(200))
        let receiver = try Receiver(at: [try Endpoint(place.address, default: .bind)], in: context)
        for number in 0..<50 {
            let message = try #require(await receiver.queue.take(timeout: .seconds(60)), "message \(number)")
            #expect(message.frames[0].bytes == [UInt8(number)])
        }
        #expect(await unsent.isEmpty)
    }

    @Test func `stopping keeps what had already arrived`() async throws {
        var limits = Receiver.Limits()
        limits.messages = 2
        let context = try ZeroMQContext()
        let receiver = try Receiver(at: [Place.fresh(.tcp)], in: context, limits: limits)
        let sender = try Sender(at: [try Endpoint(receiver.endpoint, default: .connect)], in: context)
        for number in 0..<12 { try await sender.send([try Frame([UInt8(number)])]) }
        #expect(await sender.close(flushing: .seconds(5)).isEmpty)
        try await Task.sleep(for: .milliseconds(200))
        receiver.stop(draining: .seconds(10))
        var numbers: [UInt8] = []
        while let message = await receiver.next() { numbers += message.frames[0].bytes }
        #expect(numbers == Array(0..<12))
    }

    @Test func `a receiver that can't bind says so at once`() throws {
        let context = try ZeroMQContext()
        let first = try Receiver(at: [Place.fresh(.tcp)], in: context)
        let error = try #require(throws: TransportError.self) {
            try Receiver(at: [try Endpoint(first.endpoint, default: .bind)], in: context)
        }
        #expect(error.code == "transport.address_in_use")
    }

    @Test func `refused messages are reported and the next one arrives`() async throws {
        var options = SocketOptions()
        options.maxFrames = 2
        let refused = Box<TransportError>()
        let context = try ZeroMQContext()
        let receiver = try Receiver(at: [Place.fresh(.tcp)], in: context, options: options, onRefused: refused.append)
        let sender = try Sender(at: [try Endpoint(receiver.endpoint, default: .connect)], in: context)
        try await sender.send((0..<3).map { _ in try Frame([]) })
        try await sender.send([try Frame([1]), try Frame([])])
        #expect(await receiver.queue.take(timeout: .seconds(10))?.frames.map(\.bytes) == [[1], []])
        #expect(refused.values == [.tooManyFrames(endpoint: receiver.endpoint, count: 3, limit: 2)])
    }

    @Test func `shutting the context down ends idle receivers and senders`() async throws {
        let context = try ZeroMQContext()
        let receiver = try Receiver(at: [Place.fresh(.tcp)], in: context)
        let sender = try Sender(at: [try Endpoint(receiver.endpoint, default: .connect)], in: context)
        context.shutDown()
        #expect(await receiver.next() == nil)
        await receiver.finished()
        #expect(await sender.close(flushing: .seconds(30)).isEmpty)
    }

    @Test func `letting go of a receiver closes its socket`() async throws {
        let context = try ZeroMQContext()
        var address = ""
        do { address = try Receiver(at: [Place.fresh(.tcp)], in: context).endpoint }
        let again = Task.detached {
            while (try? Receiver(at: [Endpoint(address, default: .bind)], in: context)) == nil {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        try await again.value
    }
}

/// A message that only this number has.
func message(_ number: Int) throws -> [Frame] { [try Frame(Array("\(number)".utf8)), try Frame(pattern(number % 300, seed: number))] }

/// Runs `body` on a thread that may sleep; those of the tasks must not.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}

/// Values collected from other threads.
final class Box<Value: Sendable>: Sendable {
    private let storage = Mutex<[Value]>([])
    var values: [Value] { storage.withLock { $0 } }
    @Sendable func append(_ value: Value) { storage.withLock { $0.append(value) } }
}

@Suite struct BoundedQueueTests {
    @Test func `the bounds are kept and the order too`() async {
        let queue = BoundedQueue<Int>(limit: 3)
        #expect((0..<3).allSatisfy(queue.tryPut) && !queue.tryPut(3) && !queue.hasRoom)
        #expect(!queue.waitPut(3, timeout: .milliseconds(20)))
        async let waiting = queue.put(3)
        #expect(await queue.take() == 0)
        #expect(await waiting)
        queue.close()
        #expect(!queue.tryPut(9))
        #expect(queue.tryTake() == 1 && queue.waitTake(timeout: nil) == 2 && !queue.isFinished && queue.tryTake() == 3 && queue.isFinished)
        #expect(await queue.take() == nil)
    }

    @Test func `one costly element always fits`() {
        let queue = BoundedQueue<Int>(limit: 10, costLimit: 100, cost: { $0 })
        #expect(queue.tryPut(99) && queue.tryPut(1_000) && !queue.tryPut(1))
        #expect(queue.tryTake() == 99 && !queue.hasRoom && queue.tryTake() == 1_000 && queue.hasRoom)
    }

    @Test func `waiting ends with the time, the task or the queue`() async {
        let queue = BoundedQueue<Int>(limit: 1)
        #expect(await queue.take(timeout: .milliseconds(20)) == nil)
        for _ in 0..<500 { #expect(await queue.take(timeout: .zero) == nil) }
        #expect(queue.waitTake(timeout: .milliseconds(20)) == nil)
        let taking = Task { await queue.take() }
        taking.cancel()
        #expect(await taking.value == nil)
        #expect(queue.tryPut(1))
        let putting = Task { await queue.put(2) }
        putting.cancel()
        #expect(await !putting.value)
        let closing = Task { await queue.put(3) }
        try? await Task.sleep(for: .milliseconds(20))
        queue.close()
        #expect(await !closing.value)
        #expect(queue.tryTake() == 1 && queue.tryTake() == nil)
    }

    /// The time of a waiting taker, or putter, may be over just when its turn comes: then it has the element, or the element is in.
    @Test func `a wait that ends as an element or room comes loses nothing, and puts nothing twice`() async throws {
        let queue = BoundedQueue<Int>(limit: 1)
        let total = 100_000
        async let putting = blocking {
            for number in 0..<total {
                var wait = number % 50
                while !queue.waitPut(number, timeout: .microseconds(wait)) { wait += 50 }
            }
            queue.close()
        }
        let taken = try await blocking {
            var (taken, wait) = ([Int](), 0)
            while !queue.isFinished {
                wait = (wait + 1) % 50
                if let number = queue.waitTake(timeout: .microseconds(wait)) { taken.append(number) }
            }
            return taken
        }
        try await putting
        #expect(taken.count == total && taken == Array(0..<total))
    }

    @Test func `many threads and tasks at both ends lose nothing`() async {
        let queue = BoundedQueue<Int>(limit: 5)
        let sum = await withTaskGroup(of: Int.self) { group in
            for part in 0..<4 {
                group.addTask {
                    for number in 0..<2_000 {
                        let value = number * 4 + part
                        if number % 2 == 0 { _ = await queue.put(value) } else { while !queue.tryPut(value) { await Task.yield() } }
                    }
                    return 0
                }
                group.addTask {
                    var sum = 0
                    for number in 0..<2_000 {
                        if let value = number % 2 == 0 ? await queue.take() : queue.tryTake() {
                            sum += value
                        } else {
                            sum += await queue.take() ?? 0
                        }
                    }
                    return sum
                }
            }
            return await group.reduce(0, +)
        }
        #expect(sum == (0..<8_000).reduce(0, +))
        #expect(queue.count == 0)
    }
}
