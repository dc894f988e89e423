internal import Foundation
package import JobQueue
internal import Transport

/// A look at a dispatcher, as JSON for people and programs (`/stats`, `p4q queue figures`).
package struct DispatcherStatus: Codable, Sendable {
    package struct Service: Codable, Sendable {
        package var name: String
        package var mode: String
        package var open: Int
        package var ready: Int
        package var bytes: Int
        /// Those priorities that ever had a job, ascending.
        package var levels: [Level]
    }

    package struct Level: Codable, Sendable {
        package var priority: Int
        package var open: Int
        package var ready: Int
        package var bytes: Int
        package var oldestSeconds: Double
    }

    /// A release in place.
    package struct Release: Codable, Sendable {
        package var classSet: String
        /// live or shadow.
        package var mode: String
        package var version: UInt64
        /// The hash of the model that it is for.
        package var model: String
    }

    package struct Group: Codable, Sendable {
        package var name: String
        package var kind: String
        package var services: [String]
        package var cursor: UInt64
        package var unread: Int
        package var members: Int
        package var generation: UInt64
        package var expired: UInt64
    }

    package struct Worker: Codable, Sendable {
        package var name: String
        package var identity: String
        package var connections: Int
        package var batches: Int
        package var isDraining: Bool

        package enum State: String, CaseIterable, Sendable { case busy, idle, draining }
        package var state: State { isDraining ? .draining : batches > 0 ? .busy : .idle }
    }

    package struct Job: Codable, Sendable {
        package var number: UInt64
        package var id: String
        package var producer: String
        package var service: String
        package var priority: Int
        package var acceptedUnixMilliseconds: Int64
        package var attempts: Int
        package var crashes: Int
        package var parent: UInt64?
        package var bytes: Int
        package var outcome: String?
        package var sequence: UInt64?
    }

    package var epoch: UInt32
    package var openJobs: Int
    package var openBytes: Int
    package var inFlight: Int
    package var jobsInMemory: Int
    package var lastSequence: UInt64
    package var accepted: UInt64
    package var duplicates: UInt64
    package var conflicts: UInt64
    package var busy: UInt64
    package var busyReasons: [String: UInt64]
    /// Jobs in leased batches; seconds that jobs waited for their lease, and from there to their outcome.
    package var batchJobs: Histogram
    package var waitSeconds: Histogram
    package var workSeconds: Histogram
    package var outcomes: [String: UInt64]
    package var failedAttempts: [String: UInt64]
    /// Leases that ended without an outcome and without costing an attempt, by reason.
    package var returned: [String: UInt64]
    /// Jobs that can't be used, and jobs that workers rejected for good, by code.
    package var invalid: [String: UInt64]
    package var rejected: [String: UInt64]
    package var delivered: UInt64
    package var redelivered: UInt64
    package var acknowledged: UInt64
    package var deadLetters: UInt64
    /// Ids of forgotten jobs that still count, and since how many seconds.
    package var rememberedIDs: UInt64
    package var deduplicationSeconds: Int64
    package var commits: UInt64
    package var rows: UInt64
    package var syncs: UInt64
    package var journalBytes: UInt64
    package var freeBytes: UInt64
    package var isDiskLow: Bool
    package var refused: UInt64
    package var refusals: [String: UInt64]
    /// Connections that were taken, and those that came through their handshake; nil from a dispatcher that does not count them yet.
    package var connections: [String: UInt64]?
    package var releases: [Release]
    package var services: [Service]
    package var groups: [Group]
    package var workers: [Worker]

    /// On one line, keys in alphabetical order.
    package func json() throws -> String { try Self.json(self) }

    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

extension DispatcherStatus {
    /// Reads `json`.
    package init(json: String) throws { self = try JSONDecoder().decode(Self.self, from: Data(json.utf8)) }

    init(
        _ figures: QueueFigures, _ store: StoreFigures, _ own: DispatcherCounters, _ connections: ConnectionMonitor.Counts,
        _ releases: [Release],
        epoch: UInt32, deduplication: Duration
    ) {
        let counters = figures.counters
        let failed = counters.failedAttempts
        self.init(
            epoch: epoch, openJobs: figures.openJobs, openBytes: figures.openBytes, inFlight: figures.inFlight,
            jobsInMemory: figures.jobsInMemory, lastSequence: figures.lastSequence.rawValue, accepted: counters.accepted,
            duplicates: counters.duplicates, conflicts: counters.conflicts, busy: counters.busy.values.reduce(0, +),
            busyReasons: Dictionary(uniqueKeysWithValues: counters.busy.map { ($0.key.rawValue, $0.value) }), batchJobs: counters.batchJobs,
            waitSeconds: counters.waits, workSeconds: counters.works,
            outcomes: Dictionary(uniqueKeysWithValues: counters.finished.map { ($0.key.name, $0.value) }),
            failedAttempts: ["answered": failed.answered, "lease_ran_out": failed.ranOut, "worker_died": failed.died],
            returned: Dictionary(uniqueKeysWithValues: counters.returned.map { ($0.key.rawValue, $0.value) }), invalid: own.invalid,
            rejected: own.rejected, delivered: counters.delivered, redelivered: counters.redelivered, acknowledged: counters.acknowledged,
            deadLetters: store.deadLetters, rememberedIDs: store.tombstones, deduplicationSeconds: deduplication.components.seconds,
            commits: store.commits, rows: store.rows, syncs: store.syncs,
            journalBytes: store.databaseBytes + store.payloadBytes, freeBytes: store.freeBytes, isDiskLow: store.isDiskLow,
            refused: own.refused.values.reduce(0, +),
            refusals: Dictionary(uniqueKeysWithValues: own.refused.map { ($0.key.rawValue, $0.value) }),
            connections: ["accepted": connections.accepted, "established": connections.established], releases: releases,
            services: figures.services.map {
                Service(
                    name: $0.name, mode: "\($0.mode)", open: $0.open, ready: $0.ready, bytes: $0.bytes,
                    levels: $0.levels.map {
                        Level(
                            priority: $0.priority, open: $0.open, ready: $0.ready, bytes: $0.bytes,
                            oldestSeconds: Double($0.oldest.milliseconds) / 1000)
                    })
            },
            groups: figures.groups.map {
                Group(
                    name: $0.settings.name, kind: $0.settings.kind.rawValue, services: $0.settings.services, cursor: $0.cursor.rawValue,
                    unread: $0.unread, members: $0.members, generation: $0.generation.rawValue, expired: $0.expired)
            },
            workers: figures.workers.map {
                Worker(
                    name: $0.name, identity: $0.identity, connections: $0.sessions, batches: $0.batches, isDraining: $0.isDraining)
            })
    }
}

extension DispatcherStatus.Job {
    init(_ job: JobDescription) {
        self.init(
            number: job.number.rawValue, id: job.id, producer: job.producer, service: job.service, priority: Int(job.priority.rawValue),
            acceptedUnixMilliseconds: job.accepted.milliseconds, attempts: job.attempts, crashes: job.crashes, parent: job.parent?.rawValue,
            bytes: job.envelopeBytes + job.payloadBytes, outcome: job.outcome?.name, sequence: job.sequence?.rawValue)
    }
}

extension OutcomeKind {
    /// For people, JSON and metrics.
    var name: String {
        switch self {
        case .scored: "scored"
        case .rejected: "rejected"
        case .dead(let reason): "dead_\(reason)"
        }
    }
}

extension DispatcherCore {
    /// The dispatcher as it is now.
    package func status() async -> DispatcherStatus {
        let now = runner.now
        let (figures, epoch) = runner.read { ($0.figures(now: now), $0.epoch.rawValue) }
        return DispatcherStatus(
            figures, await store.figures(), counters, connections, desk.figures, epoch: epoch, deduplication: runner.deduplicationWindow)
    }
}
