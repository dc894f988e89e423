/// What can go wrong with a journal.
package enum JobQueueError: Error, Hashable, Sendable {
    /// Another process has the journal's folder (exit 75).
    case folderLocked(path: String)
    /// The folder can't be used at all (exit 66).
    case unusableFolder(path: String, reason: String)
    /// Somebody has taken the partition over: this owner must stop.
    case fenced(PartitionID, own: Epoch, current: Epoch)
    /// No room; nothing of the batch was written, and it may be tried again.
    case diskFull(path: String)
    /// The process has too many files open; nothing was written, and it may be tried again.
    case noDescriptors(path: String)
    /// A write or an fsync failed, so nobody knows what is on the disk: exit 70, start again from disk.
    case commitUnknown(reason: String)
    /// The journal ends before what was committed (exit 74).
    case commitsLost(path: String, found: UInt64, expected: UInt64)
    /// The journal's files contradict themselves (exit 74).
    case damaged(path: String, reason: String)
    /// The journal was written by a later version (exit 65).
    case newerVersion(path: String, found: Int, known: Int)
    /// The store is closed, or has failed before.
    case closed

    /// Stable and for programs.
    package var code: String {
        switch self {
        case .folderLocked: "journal.locked"
        case .unusableFolder: "journal.folder"
        case .fenced: "journal.fenced"
        case .diskFull: "journal.disk_full"
        case .noDescriptors: "journal.no_descriptors"
        case .commitUnknown: "journal.commit_unknown"
        case .commitsLost: "journal.commits_lost"
        case .damaged: "journal.damaged"
        case .newerVersion: "journal.newer_version"
        case .closed: "journal.closed"
        }
    }

    /// True if the same call may succeed later.
    package var isRetryable: Bool {
        switch self {
        case .diskFull, .noDescriptors, .folderLocked: true
        default: false
        }
    }

    /// What the process that owns the journal exits with.
    package var exitCode: Int32 {
        switch self {
        case .folderLocked, .fenced: 75
        case .unusableFolder: 66
        case .diskFull, .noDescriptors, .commitUnknown, .closed: 70
        case .commitsLost, .damaged: 74
        case .newerVersion: 65
        }
    }
}

extension JobQueueError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .folderLocked(let path):
            "the journal \(path) belongs to another dispatcher that runs: stop that one, or choose another folder"
        case .unusableFolder(let path, let reason):
            "can't use \(path) for the journal: \(reason). Make the folder and let this user write to it"
        case .fenced(let partition, let own, let current):
            "partition \(partition.rawValue) was taken over (epoch \(current.rawValue), this process has \(own.rawValue)): stop this dispatcher"
        case .diskFull(let path):
            "no room on the disk of \(path): free some; nothing accepted is lost, and work goes on by itself"
        case .noDescriptors(let path):
            "too many files are open to open \(path): raise the limit (ulimit -n), or close connections; work goes on by itself"
        case .commitUnknown(let reason):
            "the journal's disk failed (\(reason)): nothing more is accepted. Check the disk, then start the dispatcher again"
        case .commitsLost(let path, let found, let expected):
            "the journal \(path) ends at commit \(found), but \(expected) were made: a file was damaged, deleted or replaced by an older "
                + "copy. Restore it from a backup, or start with --accept-loss to go on without what is missing"
        case .damaged(let path, let reason):
            "the journal \(path) is damaged (\(reason)): restore it from a backup"
        case .newerVersion(let path, let found, let known):
            "the journal \(path) has version \(found), this program reads up to \(known): use the newer p4q"
        case .closed:
            "the journal is closed"
        }
    }
}
