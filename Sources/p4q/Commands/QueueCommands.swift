import ArgumentParser
import Foundation
import Messages
import Services
import Transport

/// What administrators' commands share: a connection, a question, and the answer's exit code.
struct AdminOptions: ParsableArguments {
    @OptionGroup var dispatcherOptions: DispatcherOptions

    /// Asks. Throws: exit code 1, after the reason was printed, if the dispatcher would not.
    func ask(_ request: AdminRequest, timeout: Duration = .seconds(10)) throws -> AdminReply {
        let context = try ZeroMQContext()
        let endpoint = try dispatcherOptions.endpoint() ?? Endpoint("tcp://127.0.0.1:5555", default: .connect)
        let client = try DispatcherClient(to: endpoint, in: context, options: try dispatcherOptions.socketOptions())
        let reply = try client.ask(request, timeout: timeout)
        guard reply.code.isEmpty else {
            Notices(isQuiet: false).warn("\(reply.message) (\(reply.code))")
            throw CommandFailure.someItemsFailed
        }
        return reply
    }

    /// Asks for something done, and prints what the dispatcher says.
    func tell(_ request: AdminRequest, timeout: Duration = .seconds(10)) throws {
        let reply = try ask(request, timeout: timeout)
        if !reply.message.isEmpty { print(reply.message) }
        if !reply.json.isEmpty { print(reply.json) }
    }
}

/// `p4q queue`: a look into the queue, and hands on it.
struct Queue: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at a dispatcher's queue, and change it.",
        discussion: "What changes something leaves a line with the caller's name in the dispatcher's log.",
        subcommands: [
            Figures.self, Peek.self, Pause.self, Resume.self, Drain.self, Purge.self, Dead.self, Retry.self, RemoveDead.self, Workers.self,
            DrainWorker.self, Job.self,
        ])

    struct Figures: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Every figure, as one JSON object.")
        @OptionGroup var admin: AdminOptions
        func run() throws { try admin.tell(.figures) }
    }

    struct Peek: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The oldest open jobs of a service, as JSON.")
        @OptionGroup var admin: AdminOptions
        @Argument var service = "classify"
        @Option(name: .long, help: "The most jobs.") var limit = 20
        func run() throws { try admin.tell(.peek(service: service, limit: limit)) }
    }

    struct Pause: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Go on taking jobs, and give none to workers.")
        @OptionGroup var admin: AdminOptions
        @Argument var service = "classify"
        func run() throws { try admin.tell(.setMode(service: service, .paused)) }
    }

    struct Resume: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take and give again, after pause or drain.")
        @OptionGroup var admin: AdminOptions
        @Argument var service = "classify"
        func run() throws { try admin.tell(.setMode(service: service, .running)) }
    }

    struct Drain: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take no new jobs, and finish those that are there.")
        @OptionGroup var admin: AdminOptions
        @Argument var service = "classify"
        func run() throws { try admin.tell(.setMode(service: service, .draining)) }
    }

    struct Purge: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give up every open job of a service; each gets the outcome dead.purged.")
        @OptionGroup var admin: AdminOptions
        @Argument var service: String
        @Flag(name: .long, help: "Yes, really.") var yes = false
        func validate() throws { if !yes { throw ValidationError("--yes says that every open job of \(service) may go") } }
        func run() throws { try admin.tell(.purge(service: service)) }
    }

    struct Dead: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "dead", abstract: "The dead letters, oldest first, as JSON.")
        @OptionGroup var admin: AdminOptions
        @Option(name: .long, help: "Only those after this number.") var after: UInt64 = 0
        @Option(name: .long, help: "The most letters.") var limit = 100
        func run() throws { try admin.tell(.deadLetters(after: after, limit: limit)) }
    }

    struct Retry: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run dead letters again, each as a new job that names the old one.")
        @OptionGroup var admin: AdminOptions
        @Argument var numbers: [UInt64]
        func run() throws { try admin.tell(.retry(numbers)) }
    }

    struct RemoveDead: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "remove-dead", abstract: "Delete dead letters and their images.")
        @OptionGroup var admin: AdminOptions
        @Argument var numbers: [UInt64]
        func run() throws { try admin.tell(.removeDeadLetters(numbers)) }
    }

    struct Workers: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The workers that are connected, as JSON.")
        @OptionGroup var admin: AdminOptions
        func run() throws { try admin.tell(.workers) }
    }

    struct DrainWorker: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "drain-worker", abstract: "Give a worker nothing new, and send it away when it has finished.")
        @OptionGroup var admin: AdminOptions
        @Argument(help: "Its name, as `p4q queue workers` shows it.") var worker: String
        func run() throws { try admin.tell(.drainWorker(worker)) }
    }

    struct Job: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Where jobs of this key's producer are, or give them up.")
        @OptionGroup var dispatcherOptions: DispatcherOptions
        @Argument(help: "The jobs' ids.") var ids: [String]
        @Option(name: .long, help: "The service they were sent to.") var service = "classify"
        @Flag(name: .long, help: "Give up those that are open.") var cancel = false

        func run() throws {
            let endpoint = try dispatcherOptions.endpoint() ?? Endpoint("tcp://127.0.0.1:5555", default: .connect)
            let client = try DispatcherClient(to: endpoint, in: try ZeroMQContext(), options: try dispatcherOptions.socketOptions())
            let receipts = try client.ask(JobQuery(jobService: service, ids: ids, withOutcomes: true, cancels: cancel))
            for receipt in receipts {
                print("\(receipt.id)\t\(receipt.verdict == .unknown ? "unknown" : "\(receipt.state)")\t\(receipt.sequence)")
                if let result = receipt.result { print(result.jsonLine()) }
            }
            if receipts.contains(where: { $0.verdict == .unknown }) { throw CommandFailure.someItemsFailed }
        }
    }
}

/// `p4q sinks`: the groups of sinks.
struct Sinks: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, remove and list the groups that results are delivered to. The group default is always there.",
        subcommands: [Add.self, Remove.self, List.self])

    struct Add: ParsableCommand {
        enum Start: String, ExpressibleByArgument, CaseIterable { case now, earliest }

        static let configuration = CommandConfiguration(abstract: "Make a group; from then on nothing is forgotten that it has not read.")
        @OptionGroup var admin: AdminOptions
        @Argument var name: String
        @Option(name: .long, help: "Begin with the next outcome, or with the oldest that is kept.") var from = Start.now
        @Flag(name: .long, help: "One active member sees everything in sequence; without it members split the results.") var exclusive =
            false
        @Option(name: .long, help: "Services whose outcomes it gets, separated by commas; all if not given.") var service: String?
        @Option(name: .long, help: "Lose what is left unread beyond so many outcomes, instead of making producers wait.") var expireBeyond:
            Int?

        func validate() throws {
            if let expireBeyond, expireBeyond < 1 { throw ValidationError("--expire-beyond must be at least 1") }
        }

        func run() throws {
            try admin.tell(
                .addGroup(
                    name: name, isExclusive: exclusive, services: service.map { $0.split(separator: ",").map(String.init) } ?? [],
                    fromEarliest: from == .earliest, expireBeyond: expireBeyond))
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rm", abstract: "Remove a group; what it has not read is not kept for it.")
        @OptionGroup var admin: AdminOptions
        @Argument var name: String
        func run() throws { try admin.tell(.removeGroup(name)) }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The groups, as JSON.")
        @OptionGroup var admin: AdminOptions
        func run() throws { try admin.tell(.groups) }
    }
}
