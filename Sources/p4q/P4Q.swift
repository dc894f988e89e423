import ArgumentParser

@main
struct P4Q: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "p4q", abstract: "Classify images with a quantized CLIP, from the command line or from a ZeroMQ queue.")
}
