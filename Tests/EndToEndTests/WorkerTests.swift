import Foundation
import Messages
import TestSupport
import Testing
import Transport

@Suite(.serialized) struct WorkerTests {
    /// Where it came from, what it is, and what must become of it.
    private static func payload(_ index: Int) -> (bytes: [UInt8], code: String?) {
        let picture = Pictures.all[index % 3]
        guard index % 20 == 7 else { return (picture, nil) }
        switch index / 20 % 4 {
        case 0: return (Array(picture.prefix(picture.count / 2)), "decode.truncated")
        case 1: return ([], "decode.empty")
        case 2: return (Array("GIF89a".utf8) + picture, "decode.unsupported")
        default: return (Array(picture.prefix(20)), "decode.truncated")
        }
    }

    @Test(arguments: ModelForm.allCases) func `ten thousand jobs, one in twenty damaged, are each answered once, and memory stays`(
        form: ModelForm
    ) async throws {
        let folder = try TemporaryFolder()
        let model = try await form.write(to: folder)
        let worker = try await RunningWorker(model: model, ["--labels", "cat,dog,fish", "--top-k", "1"])
        let context = try ZeroMQContext()
        let sender = try Sender(at: [Endpoint(worker.jobs, default: .connect)], in: context)
        let receiver = try Receiver(at: [Endpoint(worker.results, default: .connect)], in: context)
        let total = 10_000
        let feeding = Task.detached {
            for start in stride(from: 0, to: total, by: 16) {
                let indices = start..<min(start + 16, total)
                var frames = [
                    try Frame(JobBatch(id: "b\(start)", jobs: indices.map { Job(id: "job \($0)", metadata: ["n": "\($0)"]) }).encode())
                ]
                for index in indices { frames.append(try Frame(Self.payload(index).bytes)) }
                try await sender.send(frames)
            }
        }
        var answers = [Int](repeating: 0, count: total)
        var (seen, early, late) = (0, 0, 0)
        while seen < total, let message = await receiver.queue.take(timeout: .seconds(60)) {
            for result in try ReceivedResultBatch(envelope: message.frames[0].bytes).results {
                let index = try #require(Int(result.metadata["n"] ?? ""))
                #expect(result.id == "job \(index)")
                answers[index] += 1
                seen += 1
                switch (result.outcome, Self.payload(index).code) {
                case (.scored(let predictions, _), nil): #expect(predictions.count == 1)
                case (.failed(let failure), let code?): #expect(failure.code == code && failure.message.contains(result.id))
                default: Issue.record("\(result.id) has the wrong kind of answer: \(result.outcome)")
                }
            }
            if seen > total / 4, early == 0 { early = worker.program.residentMemory }
            late = worker.program.residentMemory
        }
        try await feeding.value
        let once = answers.allSatisfy { $0 == 1 }
        #expect(once)
        #expect(worker.program.process.isRunning)
        // A tenth for what the allocator keeps in reserve.
        #expect(early > 0 && late <= early + early / 10, "from \(early) to \(late) KiB")
        #expect(await worker.stop() == 0, "\(worker.program.errors)")
        withExtendedLifetime((sender, receiver)) {}
    }

    @Test(arguments: ModelForm.allCases) func `a stopped worker answers what it holds`(form: ModelForm) async throws {
        let folder = try TemporaryFolder()
        let model = try await form.write(to: folder)
        let worker = try await RunningWorker(model: model, ["--labels", "cat,dog", "--batch-wait", "0"])
        let context = try ZeroMQContext()
        let sender = try Sender(at: [Endpoint(worker.jobs, default: .connect)], in: context)
        let receiver = try Receiver(at: [Endpoint(worker.results, default: .connect)], in: context)
        let count = 40
        for index in 0..<count {
            try await sender.send([try Frame(JobBatch(jobs: [Job(id: "\(index)")]).encode()), try Frame(Pictures.jpeg)])
        }
        try await Task.sleep(for: .milliseconds(300))
        var ids: Set<String> = []
        var isStopping = false
        while let message = await receiver.queue.take(timeout: .seconds(20)) {
            for result in try ReceivedResultBatch(envelope: message.frames[0].bytes).results { ids.insert(result.id) }
            if ids.count >= 10 && !isStopping {
                isStopping = true
                worker.program.terminate()
            }
            if ids.count == count { break }
        }
        #expect(ids.count == count)
        #expect(await worker.program.wait() == 0)
        withExtendedLifetime(sender) {}
    }

    @Test(arguments: ModelForm.allCases) func `bad messages, expired jobs, unknown and inline class sets, references`(form: ModelForm)
        async throws
    {
        let folder = try TemporaryFolder()
        let model = try await form.write(to: folder)
        let image = try folder.write("a.jpg", Pictures.jpeg)
        let set = try folder.write("pets.yaml", "name: pets\nclasses: [cat, dog, bird]\n")
        let worker = try await RunningWorker(model: model, ["--class-set", set, "--payload-root", folder.url.path])
        let context = try ZeroMQContext()
        let sender = try Sender(at: [Endpoint(worker.jobs, default: .connect)], in: context)
        let receiver = try Receiver(at: [Endpoint(worker.results, default: .connect)], in: context)
        let zero = try #require(Digest(bytes: [UInt8](repeating: 0, count: 32)))
        let jobs = [
            Job(id: "plain"), Job(id: "unknown", classes: .named("birds", sha256: nil)),
            Job(id: "stale", classes: .named("pets", sha256: zero)),
            Job(id: "inline", classes: .inline(labels: ["x", "y"], templates: ["a {}"]), topK: 1),
            Job(id: "expired", deadline: .at(unixMilliseconds: 1)),
            Job(id: "outside", payload: .reference(uri: "file:///etc/hostname", sha256: zero)),
            Job(id: "digest", payload: .reference(uri: "file://\(image)", sha256: zero)),
        ]
        try await sender.send([try Frame(Array("garbage".utf8))])
        var frames = [try Frame(JobBatch(id: "all", jobs: jobs).encode())]
        for job in jobs { frames.append(try Frame(job.payload == .attached ? Pictures.png : [])) }
        try await sender.send(frames)
        var outcomes: [String: String] = [:]
        while outcomes.count < jobs.count, let message = await receiver.queue.take(timeout: .seconds(30)) {
            let batch = try ReceivedResultBatch(envelope: message.frames[0].bytes)
            #expect(batch.id == "all")
            for result in batch.results {
                switch result.outcome {
                case .scored(let predictions, _): outcomes[result.id] = predictions.map(\.label).sorted().joined(separator: ",")
                case .failed(let failure): outcomes[result.id] = failure.code
                case .learned(_, let effect): outcomes[result.id] = effect.rawValue
                }
            }
        }
        #expect(outcomes["plain"] == "bird,cat,dog")
        #expect(outcomes["unknown"] == "class_set.unknown")
        #expect(outcomes["stale"] == "class_set.version")
        #expect(["x", "y"].contains(outcomes["inline"]))
        #expect(outcomes["expired"] == "job.expired")
        #expect(outcomes["outside"] == "payload.forbidden")
        #expect(outcomes["digest"] == "payload.digest")

        // The class set changes while the worker runs; a broken file changes nothing.
        try folder.write("pets.yaml", "name: pets\nclasses: [ant, bee]\n")
        #expect(try await labels(sender, receiver, until: "ant,bee") == "ant,bee")
        try folder.write("pets.yaml", "name: pets\nclases: [ant]\n")
        try await Task.sleep(for: .milliseconds(1500))
        #expect(try await labels(sender, receiver, until: "ant,bee") == "ant,bee")
        #expect(await worker.stop() == 0)
    }

    /// The labels of an image's answer, asked for until they are `wanted` or ten seconds have passed.
    private func labels(_ sender: Sender, _ receiver: Receiver, until wanted: String) async throws -> String {
        var found = ""
        for _ in 0..<40 where found != wanted {
            try await sender.send([try Frame(JobBatch(jobs: [Job(id: "again")]).encode()), try Frame(Pictures.png)])
            guard let message = await receiver.queue.take(timeout: .seconds(10)) else { break }
            let result = try ReceivedResultBatch(envelope: message.frames[0].bytes).results.first
            if case .scored(let predictions, _)? = result?.outcome { found = predictions.map(\.label).sorted().joined(separator: ",") }
            if found != wanted { try await Task.sleep(for: .milliseconds(250)) }
        }
        return found
    }
}
