import Messages
import Testing

/// Bytes from strangers: whatever they are, the answer is a value or a typed error.
@Suite struct HostileMessageTests {
    /// A reproducible stream of numbers (SplitMix64).
    struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }
    }

    /// Reads as both kinds of envelope; throws only what the signatures say.
    private func read(_ bytes: [UInt8]) {
        if let batch = try? ReceivedJobBatch(envelope: bytes, payloadSizes: [1, 0, 1, 1]) {
            for entry in batch.entries {
                if case .failure(let rejection) = entry { #expect(!rejection.id.isEmpty && rejection.id.utf8.count <= 128) }
            }
        }
        _ = try? ReceivedResultBatch(envelope: bytes)
    }

    private static func envelopes() throws -> [[UInt8]] {
        [try JobBatch(id: "b", jobs: Samples.jobs).encode()] + (try ResultBatch(id: "b", worker: "w", results: Samples.results).encode())
    }

    @Test func `every truncation is read or refused`() throws {
        for envelope in try Self.envelopes() {
            for length in 0...envelope.count { read(Array(envelope[..<length])) }
        }
        // An envelope that ends within a job says so, and one that ends between two has fewer jobs.
        let envelope = try JobBatch(jobs: [Job(id: "a"), Job(id: "b")]).encode()
        let half = try ReceivedJobBatch(envelope: Array(envelope[..<(envelope.count / 2)]), payloadSizes: [1])
        #expect(try half.entries.map { try $0.get().id } == ["a"])
        #expect(throws: MessageError.self) { try ReceivedJobBatch(envelope: Array(envelope.dropLast()), payloadSizes: [1, 1]) }
    }

    @Test func `every flipped bit is read or refused`() throws {
        for envelope in try Self.envelopes() {
            for bit in 0..<envelope.count * 8 {
                var bytes = envelope
                bytes[bit / 8] ^= 1 << (bit % 8)
                read(bytes)
            }
        }
    }

    @Test func `a hundred thousand random and mutated messages are read or refused`() throws {
        var random = Seeded(state: 20_261_124)
        let seeds = try Self.envelopes()
        for round in 0..<100_000 {
            var bytes: [UInt8]
            if round % 2 == 0 {
                bytes = (0..<Int.random(in: 0...64, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            } else {
                bytes = seeds[round / 2 % seeds.count]
                for _ in 0...Int.random(in: 0...4, using: &random) {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    bytes[place] = UInt8.random(in: 0...255, using: &random)
                }
            }
            read(bytes)
        }
    }

    @Test(arguments: [1, 10, 100, 10_000, 100_000])
    func `nesting ends at the depth limit`(depth: Int) {
        // Groups of an unknown field: start tags without end, and with their ends.
        read([UInt8](repeating: 0xF3, count: depth))
        read([UInt8](repeating: 0x63, count: depth) + [UInt8](repeating: 0x64, count: depth))
        // The same inside of a job, after a good id.
        let job: [UInt8] = [0x0A, 1, 0x61] + [UInt8](repeating: 0x63, count: depth) + [UInt8](repeating: 0x64, count: depth)
        let envelope = [0x12] + Self.varint(job.count) + job
        let entry = try? ReceivedJobBatch(envelope: envelope, payloadSizes: [1]).entries.first
        if depth >= 10 { #expect(entry?.rejection?.reason.code == "message.malformed") } else { #expect(entry?.rejection == nil) }
    }

    @Test func `lengths that promise more than there is cost nothing`() {
        for promised in [UInt64(Int32.max), UInt64(UInt32.max), UInt64(Int64.max), UInt64.max] {
            for tag: UInt8 in [0x0A, 0x12, 0x1A] {
                #expect(throws: MessageError.self) {
                    try ReceivedJobBatch(envelope: [tag] + Self.varint(promised) + [1, 2, 3], payloadSizes: [])
                }
            }
        }
    }

    @Test func `numbers at the ends of their ranges are values or errors`() throws {
        for value in [UInt64(0), 1, UInt64(UInt32.max), UInt64(Int64.max), UInt64(Int64.max) + 1, .max] {
            for tag: [UInt8] in [[0xB0, 0x01], [0xF0, 0x01], [0xF8, 0x01], [0xE0, 0x03]] {
                let job = [0x0A, 1, 0x61] + tag + Self.varint(value)
                let batch = try ReceivedJobBatch(envelope: [0x12] + Self.varint(job.count) + job, payloadSizes: [1])
                if let job = try? batch.entries[0].get(), let deadline = job.deadline {
                    _ = deadline.instant(received: .now, unixMilliseconds: .max)
                    _ = deadline.instant(received: .now, unixMilliseconds: .min)
                    _ = try JobBatch(jobs: [job]).encode()
                }
            }
            for field: UInt8 in [0x08, 0x10, 0x18, 0x20, 0x28] {
                let timings = [field] + Self.varint(value)
                let result = [0x0A, 1, 0x61, 0x52, 0, 0xC2, 2] + Self.varint(timings.count) + timings
                let batch = try ReceivedResultBatch(envelope: [0x1A] + Self.varint(result.count) + result)
                #expect(batch.results.count == (value > UInt64(Int64.max) ? 0 : 1))
                for result in batch.results { #expect(result.jsonLine().contains("\(value)")) }
            }
        }
    }

    @Test func `a megabyte of the smallest items is refused quickly`() throws {
        let jobs = [[UInt8]](repeating: [0x12, 0], count: 524_288).flatMap { $0 }
        #expect(throws: MessageError.tooManyItems(count: 524_288, limit: 256)) { try ReceivedJobBatch(envelope: jobs, payloadSizes: []) }
        var entries: [UInt8] = []
        for number in 0..<100_000 {
            entries += [0xC2, 0x02, 5, 0x0A, 3, UInt8(number & 63), UInt8(number >> 6 & 63), UInt8(number >> 12 & 63)]
        }
        let envelope = [0x12] + Self.varint(entries.count + 3) + [0x0A, 1, 0x61] + entries
        let batch = try ReceivedJobBatch(envelope: envelope, payloadSizes: [1])
        #expect(batch.entries[0].rejection?.reason.code == "message.invalid_field")
        #expect(batch.entries[0].rejection?.metadata.isEmpty == true)
    }

    private static func varint(_ value: Int) -> [UInt8] { varint(UInt64(value)) }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var (rest, bytes) = (value, [UInt8]())
        repeat {
            bytes.append(UInt8(rest & 127) | (rest > 127 ? 128 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }
}
