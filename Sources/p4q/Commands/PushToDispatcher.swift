import ArgumentParser
import Crypto
import Datasets
import Foundation
import Messages
import Services
import Transport

/// `p4q push --dispatcher`: every image is accepted, or said to have failed.
struct PushToDispatcher {
    private typealias Item = (job: Job, payload: Frame)

    /// What became of the images.
    struct Tally {
        var accepted = 0
        var duplicates = 0
        var skipped = 0
        var unread = 0
        var refused = 0
        var resent = 0

        var settled: Int { accepted + duplicates + skipped + refused }
    }

    let endpoint: Endpoint
    let options: SocketOptions
    let service: String
    let run: String
    let resumes: Bool
    let batch: Int
    let patience: Duration
    let quiet: Bool
    /// Tells jobs about the same example apart that say the same.
    var pass = ""
    /// The job of an image, without its id.
    let makeJob: (DatasetItem) -> Job

    /// Bytes of images in flight.
    private static let windowBytes = 64 << 20
    private static let windowBatches = 32
    private static let batchBytes = 4 << 20

    func push(_ inputs: [String], maximumBytes: Int, stop: () -> Bool) throws -> Tally {
        let source = ImageSource(inputs, limit: maximumBytes)
        return try push({ () throws(DatasetError) in try source.next() }, stop: stop)
    }

    /// - Parameter next: the images, one after the other.
    func push(_ next: () throws(DatasetError) -> DatasetItem?, stop: () -> Bool) throws -> Tally {
        let context = try ZeroMQContext()
        defer { context.terminate() }
        let client = try DispatcherClient(to: endpoint, in: context, options: options)
        // On a connection of its own: a question's answer is waited for, and what comes before it is skipped.
        let asker = resumes ? try DispatcherClient(to: endpoint, in: context, options: options) : client
        let process = String(UInt64.random(in: 0 ... .max), radix: 36)
        var window = SubmitWindow<Frame>(run: process, limit: Self.windowBatches, byteLimit: Self.windowBytes)
        var tally = Tally()
        var progress = Progress("accepted", isQuiet: quiet)
        var heard = ContinuousClock.now
        var isOver = false
        while !(isOver && window.isEmpty) {
            while !isOver, window.hasRoom(bytes: Self.batchBytes) {
                let items = try read(next, &tally)
                if items.isEmpty || stop() { isOver = true }
                let open = resumes ? try unknown(items, asker, &tally) : items
                if resumes { heard = .now }
                if !open.isEmpty { window.add(open, bytes: open.reduce(0) { $0 + $1.payload.count }, now: .now) }
            }
            try send(&window, client)
            let wait = window.nextDue.map { ContinuousClock.now.duration(to: $0) } ?? .zero
            if !window.isEmpty, let reply = try client.receive(timeout: min(max(wait, .milliseconds(1)), .milliseconds(250))) {
                heard = .now
                try settle(reply, &window, &tally)
                progress.update(tally.settled)
            }
            if !window.isEmpty, ContinuousClock.now - heard > patience {
                throw NoAnswer(endpoint: endpoint.address, open: 0, tally: tally, run: run)
            }
        }
        progress.finish(tally.settled)
        tally.resent = window.resent
        return tally
    }

    /// Thrown when the dispatcher has not answered for longer than was asked for.
    struct NoAnswer: Error, CustomStringConvertible {
        let endpoint: String
        let open: Int
        let tally: Tally
        let run: String
        var description: String {
            "\(endpoint) does not answer; \(tally.accepted + tally.duplicates) images were accepted. Check that a dispatcher runs there and that "
                + "the keys fit, or go on later with --run \(run) --resume"
        }
    }

    private func send(_ window: inout SubmitWindow<Frame>, _ client: DispatcherClient) throws {
        for batch in window.due(now: .now) {
            var frames = [try Frame(JobBatch(id: batch.id, jobs: batch.items.map(\.job)).encode())]
            frames += batch.items.map(\.payload)
            do throws(TransportError) {
                try client.send(service, frames, timeout: .zero)
            } catch {
                guard case .timedOut = error else { throw error }
                window.postpone(batch.id, now: .now)
            }
        }
    }

    private func settle(_ reply: DispatcherClient.Reply, _ window: inout SubmitWindow<Frame>, _ tally: inout Tally) throws {
        let answer = try SubmitReply(envelopes: reply.body.map(\.bytes))
        // The whole request was refused: no later one will be taken.
        if let failure = answer.failure { throw failure }
        for (job, receipt) in window.settle(answer, now: .now) {
            switch receipt.verdict {
            case .accepted: tally.accepted += 1
            case .duplicate: tally.duplicates += 1
            case .conflict, .invalid, .unknown, .cancelled, .busy:
                tally.refused += 1
                Notices(isQuiet: quiet).warn("\(job.metadata["path"] ?? job.id): refused: \(receipt.message) (\(receipt.code))")
            }
        }
    }

    /// The next images, as many as travel together.
    private func read(_ next: () throws(DatasetError) -> DatasetItem?, _ tally: inout Tally) throws -> [Item] {
        var items: [Item] = []
        var ids: Set<String> = []
        var bytes = 0
        while items.count < batch, bytes < Self.batchBytes {
            do throws(DatasetError) {
                guard let item = try next() else { break }
                let content = try item.load()
                var job = makeJob(item)
                job.metadata["path"] = item.id
                job.id = id(of: item.id, content, job)
                // The same file named twice is the same job.
                guard ids.insert(job.id).inserted, let payload = try? Frame(content) else { continue }
                items.append((job, payload))
                bytes += content.count
            } catch {
                tally.unread += 1
                Notices(isQuiet: quiet).warn("\(error)")
            }
        }
        return items
    }

    /// Made of the run, the path and the content, so that pushing the same run again is the same jobs.
    private func id(of path: String, _ content: [UInt8], _ job: Job) -> String {
        var hash = SHA256()
        hash.update(data: Data(path.utf8))
        hash.update(data: [0])
        hash.update(data: content)
        // Another label for the same image is another job.
        if job.training != nil { hash.update(data: Data("\(job.label ?? "") \(pass)".utf8)) }
        let digits = hash.finalize().prefix(20).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        return "\(run)/\(digits)"
    }

    /// Those that the dispatcher doesn't have yet.
    private func unknown(_ items: [Item], _ client: DispatcherClient, _ tally: inout Tally) throws -> [Item] {
        if items.isEmpty { return [] }
        let receipts = try client.ask(JobQuery(jobService: service, ids: items.map(\.job.id)), timeout: patience)
        let known = Set(receipts.filter { $0.verdict != .unknown }.map(\.id))
        tally.skipped += known.count
        return items.filter { !known.contains($0.job.id) }
    }
}
