import ArgumentParser
import Foundation
import Quantization

/// What `evaluate --paper` needs beside a model and a class set.
struct PaperOptions: ParsableArguments {
    @Flag(
        name: .long,
        help: """
            Run all the comparisons of the P4Q paper: full precision, four observers, linear probes and P4Q at every bit width, the ablations, \
            and generalisation. What is done lies in --out; the same command goes on from there.
            """)
    var paper = false

    @Option(name: .long, help: "With --paper: labelled images to calibrate, tune and probe on; may be repeated.", completion: .file())
    var train: [String] = []

    @Option(
        name: .long,
        help: """
            With --paper: labelled test images, separated by commas. The first set's figures make the tables; the others are scored \
            zero-shot, each with its own classes where they are named, as other.tar=classes.yaml.
            """, completion: .file())
    var test: String?

    @Option(name: .long, help: "With --paper: the folder of the report.", completion: .directory)
    var out: String?

    @Option(name: .long, help: "With --paper: seeds that prompts and adapters are learned with.")
    var seeds = 3

    @Option(name: .long, help: "With --paper: bit widths, separated by commas.")
    var bits = "8-8-8,4-4-8,3-3-8,2-2-8"

    @Option(name: .long, help: "With --paper: passes over the training images; the ablations of losses and sizes take two fifths of them.")
    var epochs = 50

    @Option(name: .long, help: "With --paper: context vectors of the prompt: 16, or 4 for the built-in model, if not given.")
    var context: Int?

    @Flag(name: .long, help: "With --paper: the main table only.")
    var noAblations = false

    func validate() throws {
        guard paper else {
            if !train.isEmpty || test != nil || out != nil { throw ValidationError("--train, --test and --out go with --paper") }
            return
        }
        if train.isEmpty { throw ValidationError("--paper needs --train: labelled images to learn from") }
        if test == nil { throw ValidationError("--paper needs --test: labelled images to measure on") }
        if out == nil { throw ValidationError("--paper needs --out: the report's folder") }
        if seeds < 1 || seeds > 100 { throw ValidationError("--seeds is 1 to 100") }
        if context ?? 1 < 1 { throw ValidationError("--context must be at least 1") }
        if epochs < 1 { throw ValidationError("--epochs must be at least 1") }
        _ = try plans()
    }

    /// The bit widths, in their order.
    func plans() throws -> [BitPlan] {
        let plans = try bits.split(separator: ",", omittingEmptySubsequences: false).map {
            guard let plan = BitPlan(String($0)) else {
                throw ValidationError("--bits \($0) is not W-A-T with widths of 8, 4, 3 or 2, as 4-4-8")
            }
            return plan
        }
        guard Set(plans.map(\.description)).count == plans.count else { throw ValidationError("--bits names a width twice") }
        return plans
    }

    /// Test sets, each with the class set that it names, if it names one.
    var tests: [(data: String, classSet: String?)] {
        (test ?? "").split(separator: ",").map { part in
            let pieces = part.split(separator: "=", maxSplits: 1).map(String.init)
            return (pieces[0], pieces.count > 1 ? pieces[1] : nil)
        }
    }
}
