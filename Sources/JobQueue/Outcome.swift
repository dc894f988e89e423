/// How a job ended.
package enum OutcomeKind: Hashable, Sendable {
    /// The worker's result is the body.
    case scored
    /// A permanent failure of the input; the worker's answer is the body.
    case rejected
    /// Given up; the last answer of a worker is the body, or it is empty.
    case dead(DeadReason)

    /// As it is journalled.
    package var code: UInt8 {
        switch self {
        case .scored: 1
        case .rejected: 2
        case .dead(let reason): 16 + reason.rawValue
        }
    }

    package init?(code: UInt8) {
        switch code {
        case 1: self = .scored
        case 2: self = .rejected
        default:
            guard code >= 16, let reason = DeadReason(rawValue: code - 16) else { return nil }
            self = .dead(reason)
        }
    }
}

/// Why a job was given up. The numbers are journalled: never change one.
package enum DeadReason: UInt8, Hashable, Sendable, CaseIterable {
    /// All attempts are used.
    case attempts = 0
    /// Workers that had only this job died of it.
    case crash = 1
    /// Its payload in the journal is damaged.
    case corrupt = 2
    /// The deadline or the age limit passed first.
    case expired = 3
    case purged = 4
    case cancelled = 5

    /// True if it is kept as a dead letter that can be looked at and run again.
    package var leavesLetter: Bool {
        switch self {
        case .attempts, .crash, .corrupt, .expired: true
        case .purged, .cancelled: false
        }
    }
}

/// What a worker says of one leased job.
package struct WorkerAnswer: Sendable {
    package enum Verdict: UInt8, Hashable, Sendable {
        case scored, rejected
        /// It failed and may succeed later: costs an attempt.
        case retry
        /// Handed back unstarted: costs nothing.
        case released
    }

    package var lease: LeaseID
    package var verdict: Verdict
    /// Kept with the outcome and given to sinks.
    package var body: [UInt8]

    package init(lease: LeaseID, verdict: Verdict, body: [UInt8] = []) {
        self.lease = lease
        self.verdict = verdict
        self.body = body
    }
}

/// What became of a worker's answer. It may leave only after the commit.
package enum AnswerReceipt: Hashable, Sendable {
    /// It is the job's outcome, or its job waits for the next attempt.
    case stored
    /// The job had its outcome already, or is forgotten.
    case duplicate
    /// Not a lease of this worker, or a `retry` or `released` with a lease that is not current. Nothing changed.
    case refused
}
