internal import Synchronization

extension PartitionRunner {
    /// Commits and delivers until `finish`. Throws the `JobQueueError` that ended it.
    package func run() async throws {
        defer { end() }
        let (contents, feed) = AsyncStream.makeStream(of: [Action].self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            addPart(&group) { try await $0.readContents(contents) }
            addPart(&group) { try await $0.watchStore() }
            addPart(&group) { try await $0.forgetIDs() }
            addPart(&group) { try await $0.store.indexTombstones(in: $0.partition) }
            defer {
                feed.finish()
                group.cancelAll()
            }
            while let output = try await nextOutput() {
                if !output.batch.isEmpty { guard try await commit(output.batch) else { return } }
                let room = output.bytes > 0 ? await store.room().room : nil
                let now = clock()
                state.withLock { state in
                    if let room { state.room = room }
                    state.machine.committed(output.number, now: now)
                    (state.committingJobs, state.committingBytes) = (0, 0)
                }
                send(output.actions, feed)
                pass(output.number)
            }
        }
    }

    /// Runs beside the commits; an error ends `run`, which would otherwise go on without this part.
    private func addPart(
        _ group: inout ThrowingTaskGroup<Void, any Error>, _ body: @escaping @Sendable (PartitionRunner) async throws -> Void
    ) {
        group.addTask {
            do { try await body(self) } catch is CancellationError {
            } catch {
                let waiter = self.state.withLock { state in
                    state.failure = state.failure ?? error
                    defer { state.waiter = nil }
                    return state.waiter
                }
                waiter?.resume()
                throw error
            }
        }
    }

    /// Output `number` is durable, and what it says was sent.
    private func pass(_ number: UInt64) {
        let waiting = state.withLock { state in
            state.committed = number
            defer { state.barriers.removeAll { $0.output <= number } }
            return state.barriers.filter { $0.output <= number }
        }
        for barrier in waiting { barrier.continuation.resume(returning: true) }
    }

    private func end() {
        let waiting = state.withLock { state in
            state.hasEnded = true
            defer { state.barriers = [] }
            return state.barriers
        }
        for barrier in waiting { barrier.continuation.resume(returning: false) }
    }

    private func send(_ actions: [Action], _ feed: AsyncStream<[Action]>.Continuation) {
        var withContent: [Action] = []
        var without: [Outgoing] = []
        for action in actions {
            switch action {
            case .lease, .deliver: withContent.append(action)
            default: without.append(.action(action))
            }
        }
        if !without.isEmpty { deliver(without) }
        if !withContent.isEmpty { feed.yield(withContent) }
    }

    /// Everything decided since the last one; waits until there is something. Nil at the end.
    ///
    /// - Throws: what ended a part of `run`.
    private func nextOutput() async throws -> QueueMachine.Output? {
        while true {
            let (output, isFinished) = try state.withLock { state in
                if let failure = state.failure { throw failure }
                let output = state.machine.takeOutput()
                (state.committingJobs, state.committingBytes) = (output?.batch.accepted.count ?? 0, output?.bytes ?? 0)
                return (output, state.isFinished)
            }
            if let output { return output }
            if isFinished || Task.isCancelled { return nil }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isDue = state.withLock { state in
                        if state.machine.hasOutput || state.isFinished || state.failure != nil || Task.isCancelled { return true }
                        state.waiter = continuation
                        return false
                    }
                    if isDue { continuation.resume() }
                }
            } onCancel: {
                let waiter = state.withLock { state in
                    defer { state.waiter = nil }
                    return state.waiter
                }
                waiter?.resume()
            }
        }
    }

    /// Commits; waits for room on the disk for as long as it takes, or until the end.
    ///
    /// - Returns: false if the end came first: nobody was told of the batch, and whoever waits will ask again.
    private func commit(_ batch: JournalBatch) async throws -> Bool {
        while true {
            do {
                try await store.commit(batch)
                return true
            } catch JobQueueError.diskFull {
                post(.disk(isLow: true))
            } catch JobQueueError.noDescriptors {
            }
            if let failure = state.withLock({ $0.failure }) { throw failure }
            if state.withLock({ $0.isFinished }) { return false }
            try await Task.sleep(for: .milliseconds(500))
        }
    }

    /// Reads; waits while the process has too many files open.
    private func reading<Result>(_ body: () async throws -> Result) async throws -> Result {
        while true {
            do { return try await body() } catch JobQueueError.noDescriptors { try await Task.sleep(for: .milliseconds(500)) }
        }
    }

    private func readContents(_ actions: AsyncStream<[Action]>) async throws {
        for await actions in actions {
            for action in actions {
                switch action {
                case .lease(let batch): try await sendJobs(batch)
                case .deliver(let delivery):
                    let outcomes = try await reading { try await store.outcomes(delivery.items.map(\.sequence), in: partition) }
                    deliver([.outcomes(delivery, outcomes)])
                default: break
                }
            }
        }
    }

    private func sendJobs(_ batch: LeasedBatch) async throws {
        let contents = try await reading { try await store.contents(of: batch.grants.map(\.job), in: partition) }
        var (intact, grants, corrupt): ([JobContent], [LeaseGrant], [LeaseID]) = ([], [], [])
        for (grant, content) in zip(batch.grants, contents) {
            switch content {
            case .intact:
                intact.append(content)
                grants.append(grant)
            case .corrupt: corrupt.append(grant.lease)
            }
        }
        if !intact.isEmpty {
            deliver([.jobs(LeasedBatch(session: batch.session, service: batch.service, grants: grants, isAlone: batch.isAlone), intact)])
        }
        if !corrupt.isEmpty { post(.corrupt(batch.session, corrupt, isSent: !intact.isEmpty)) }
    }

    /// Tells the machine when the disk fills or empties.
    private func watchStore() async throws {
        var wasLow = false
        while !Task.isCancelled {
            let figures = await store.figures()
            state.withLock { $0.room = figures.room }
            if figures.isDiskLow != wasLow {
                wasLow = figures.isDiskLow
                post(.disk(isLow: wasLow))
            }
            do { try await Task.sleep(for: .seconds(1)) } catch { return }
        }
    }

    /// Ends the deduplication of ids that are old enough or too many.
    private func forgetIDs() async throws {
        while !Task.isCancelled {
            let configuration = state.withLock { $0.machine.configuration }
            let now = clock().wall
            let age = try await store.expireTombstones(
                olderThan: configuration.rememberIDs, keeping: configuration.rememberedIDs, now: now, in: partition)
            state.withLock { $0.rememberedSince = age == .zero ? nil : WallTime(milliseconds: now.milliseconds - age.milliseconds) }
            do { try await Task.sleep(for: configuration.rememberCheck) } catch { return }
        }
    }
}

extension StoreFigures {
    /// Bytes that may be written before the disk is low.
    fileprivate var room: Int { freeBytes < lowestBytes ? 0 : Int(clamping: freeBytes - lowestBytes) }
}
