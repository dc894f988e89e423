import ArgumentParser
import Foundation
import Tensors

/// `p4q kernels`: what this machine computes with.
struct Kernels: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the instruction sets that this machine can run, and which one is used.",
        discussion: "P4Q_ISA chooses another. Scores are the same whichever computes them.")

    func run() throws {
        let chosen = try ProcessorOptions.instructionSet()
        for set in InstructionSet.allCases {
            let state = set == chosen ? "in use" : set.isSupported ? "supported" : "-"
            try StandardOutput.line(set.rawValue.padding(toLength: 14, withPad: " ", startingAt: 0) + state)
        }
        try StandardOutput.line("BLAS          \(BLAS.description)")
        try StandardOutput.flush()
    }
}
