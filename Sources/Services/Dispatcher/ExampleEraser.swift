internal import JobQueue
internal import Messages

/// Makes a dispatcher forget labelled images: whatever its files still hold of an example's jobs is overwritten.
///
/// One round after the other; what comes while one runs is done by the next, all together.
actor ExampleEraser {
    /// An example, as a job names it.
    struct Example: Hashable, Sendable {
        /// Empty: the trainer's first one.
        let classSet: String
        let id: String
    }

    private let store: any JobStore
    private var waiting: Set<Example> = []
    private var next: Task<Void, any Error>?
    private var current: Task<Void, any Error>?

    /// Letters that are read at a time.
    private static let page = 256

    init(store: any JobStore) { self.store = store }

    /// Returns when nothing is left of the images of these examples' finished jobs, nor of any other training job's that is done.
    func erase(_ examples: Set<Example>) async throws {
        waiting.formUnion(examples)
        if let next { return try await next.value }
        let before = current
        let task = Task {
            _ = await before?.result
            try await self.round()
        }
        next = task
        try await task.value
    }

    private func round() async throws {
        let examples = waiting
        (waiting, current, next) = ([], next, nil)
        if !examples.isEmpty { try await removeLetters(of: examples) }
        try await store.eraseLeftovers(of: DispatcherSettings.trainService, in: PartitionID())
    }

    /// Dead letters keep their payloads.
    private func removeLetters(of examples: Set<Example>) async throws {
        var last = JobNumber(0)
        while true {
            let letters = try await store.deadLetters(after: last, limit: Self.page, in: PartitionID())
            guard let end = letters.last else { return }
            last = end.number
            let training = letters.filter { $0.service == DispatcherSettings.trainService }.map(\.number)
            var found: [JobNumber] = []
            for (number, content) in zip(training, try await store.contents(of: training, in: PartitionID())) {
                guard case .intact(_, let envelope, _) = content, let job = try? Job(stored: envelope) else {
                    // What can't be read can't be told from what is to go.
                    found.append(number)
                    continue
                }
                if examples.contains(where: { $0.isMeant(by: job) }) { found.append(number) }
            }
            if !found.isEmpty { _ = try await store.removeDeadLetters(found, in: PartitionID()) }
        }
    }
}

extension ExampleEraser.Example {
    /// Where only one of them names its class set, it is taken for the same: rather too much is forgotten.
    func isMeant(by job: Job) -> Bool {
        guard (job.training?.exampleID ?? job.id) == id else { return false }
        guard case .named(let name, _)? = job.classes else { return true }
        return classSet.isEmpty || name == classSet
    }
}
