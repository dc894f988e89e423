internal import Synchronization

extension PartitionRunner {
    /// Commits and delivers until `finish`. Throws the `JobQueueError` that ended it.
    package func run() async throws {
        let (contents, feed) = AsyncStream.makeStream(of: [Action].self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.readContents(contents) }
            group.addTask { try await self.watchStore() }
            group.addTask { try await self.forgetIDs() }
            group.addTask { try await self.store.indexTombstones(in: self.partition) }
            defer {
                feed.finish()
                group.cancelAll()
            }
            while let output = await nextOutput() {
                if !output.batch.isEmpty { try await commit(output.batch) }
                let room = output.bytes > 0 ? await store.figures().room : nil
                let now = clock()
                state.withLock { state in
                    if let room { state.room = room }
                    state.machine.committed(output.number, now: now)
                    (state.committingJobs, state.committingBytes) = (0, 0)
                }
                send(output.actions, feed)
            }
        }
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
    private func nextOutput() async -> QueueMachine.Output? {
        while true {
            let (output, isFinished) = state.withLock { state in
                let output = state.machine.takeOutput()
                (state.committingJobs, state.committingBytes) = (output?.batch.accepted.count ?? 0, output?.bytes ?? 0)
                return (output, state.isFinished)
            }
            if let output { return output }
            if isFinished || Task.isCancelled { return nil }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isDue = state.withLock { state in
                        if state.machine.hasOutput || state.isFinished || Task.isCancelled { return true }
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

    /// Commits; waits for room on the disk for as long as it takes.
    private func commit(_ batch: JournalBatch) async throws {
        while true {
            do {
                return try await store.commit(batch)
            } catch JobQueueError.diskFull {
                post(.disk(isLow: true))
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    private func readContents(_ actions: AsyncStream<[Action]>) async throws {
        for await actions in actions {
            for action in actions {
                switch action {
                case .lease(let batch): try await sendJobs(batch)
                case .deliver(let delivery):
                    let outcomes = try await store.outcomes(delivery.items.map(\.sequence), in: partition)
                    deliver([.outcomes(delivery, outcomes)])
                default: break
                }
            }
        }
    }

    private func sendJobs(_ batch: LeasedBatch) async throws {
        let contents = try await store.contents(of: batch.grants.map(\.job), in: partition)
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
