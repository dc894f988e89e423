import ArgumentParser
import Foundation
import JobQueue
import Messages

/// `p4q journal`: copies of a journal.
struct Journal: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Back up a dispatcher's journal while it runs, and restore it.", subcommands: [Backup.self, Restore.self])

    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy the journal, as it is at one moment, into a new folder on the dispatcher's machine.")
        @OptionGroup var admin: AdminOptions

        @Argument(help: "The folder; it must not exist. A relative one is taken from here.", completion: .directory)
        var folder: String

        func run() throws {
            try admin.tell(.backup(to: URL(fileURLWithPath: folder).path), timeout: .seconds(3600))
        }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy a backup to where a dispatcher will open it, and check it.",
            discussion: """
                What was accepted or finished after the backup is not in it: producers that push again with the same ids bring it back, and \
                sinks see again, under new numbers, what they had got since.
                """)

        @Argument(help: "The backup's folder.", completion: .directory)
        var backup: String

        @Argument(help: "The journal's folder; it must not exist.", completion: .directory)
        var journal: String

        func run() throws {
            try SQLiteStore.restore(from: backup, to: journal)
            print("\(journal) is restored: start the dispatcher with --journal \(journal)")
        }
    }
}
