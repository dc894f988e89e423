import ArgumentParser
import Services

@main
struct P4Q: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "p4q",
        abstract: "Classify images with CLIP, from the command line or from a ZeroMQ queue.",
        discussion: """
            Every option can also be given as an environment variable: --batch-max is P4Q_BATCH_MAX. An option that may be repeated takes \
            one value a line there; a flag takes 1 or 0. What neither says is read from the file that --config or P4Q_CONFIG names (see `p4q \
            config`). P4Q_ISA forces an instruction set (see `p4q kernels`).

            Exit codes: 0 everything done; 1 some items failed, and the output says which; 64 wrong usage; 65 a model, class set, \
            configuration or archive is unusable; 66 an input is missing, or has no image; 69 an endpoint can't be used or does not answer; 70 \
            the journal's disk failed, a worker's test image went wrong, or a part keeps crashing; 74 data on the disk is damaged; 75 \
            something could not be handed over or did not come, or another process has the journal; 77 the key may not do it; 130 \
            interrupted (quantize).
            """,
        version: "p4q \(ProcessMetrics.version)",
        subcommands: [
            Classify.self, Evaluate.self, Quantize.self, Tune.self, Train.self, Label.self, Report.self, Draw.self, Pretrain.self,
            Dispatch.self, Worker.self, Push.self, Collect.self, Serve.self, Queue.self, Sinks.self, Releases.self, Journal.self, Keys.self,
            Status.self, Top.self, Config.self,
            Model.self, Embed.self, Tokenize.self, Preprocess.self,
            Bench.self, Kernels.self,
        ])

    static func main() async {
        ignoreBrokenPipes()
        raiseFileLimit()
        restartWithBetterBLAS()
        Lifeline.watch()
        do {
            var command = try await CommandLineReading.process.command()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            exit(withError: CommandFailure.explaining(error))
        }
    }
}
