import ArgumentParser
import Foundation
import Training

/// `p4q report`: what a trainer has learned and decided, as a page.
struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write one page on what a trainer has learned and decided.",
        discussion: """
            Accuracy before and after with its 95 % intervals, the gate's decisions, per-class changes, confusion, calibration, the examples \
            whose answers changed (with pictures under p4q train --keep-images), labels and drift over time. The page needs nothing but itself, \
            and is written beside a trainer that runs.
            """)

    @Option(name: .long, help: "The trainer's folder.", completion: .directory)
    var store = "p4q-trainer"

    @Option(name: .long, help: "The class set's name; needed if the folder has several.")
    var classSet: String?

    @Option(name: .customLong("run"), help: "The run to report on; the last one that was decided if not given.")
    var number: Int64?

    @Option(name: .long, help: "The page's file.", completion: .file())
    var out: String

    @Option(name: .long, help: "The most changed answers that are shown one by one.")
    var flips = 60

    func validate() throws {
        if flips < 0 { throw ValidationError("--flips can't be negative") }
    }

    /// What was asked for is not in the folder.
    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    func run() throws {
        let store = try ExampleStore(reading: URL(fileURLWithPath: store))
        let sets = try store.classSets()
        guard let name = classSet ?? (sets.count == 1 ? sets[0] : nil), sets.contains(name) else {
            let found = sets.isEmpty ? "it has no examples yet" : "it has \(sets.joined(separator: ", "))"
            throw Missing(description: "\(self.store): say which class set by --class-set: \(found)")
        }
        let runs = try store.runs(classSet: name)
        let decided = runs.last { run in number.map { run.id == $0 } ?? (run.verdict != nil) }
        if let number, decided == nil { throw Missing(description: "\(self.store) has no run \(number) of \(name)") }
        let page = TrainerPage(
            classSet: name, runs: runs, decided: decided, answers: try decided.map { try store.answers(run: $0.id) } ?? [],
            labels: try store.labelCounts().filter { $0.classSet == name }, arrivals: try store.arrivals(classSet: name),
            events: try store.events(classSet: name), flipLimit: flips)
        try OutputFile.write(Data(page.text.utf8), to: URL(fileURLWithPath: out))
    }
}
