import ArgumentParser
import CLIP
import Foundation

/// `p4q tokenize`: what the text tower is given.
struct Tokenize: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a JSON string a line from standard input and print its token ids, {\"ids\":[...]} a line.")

    @Option(name: .long, help: "A model's folder, or the folder of a tokenizer's files.", completion: .directory)
    var model: String?

    private struct Line: Encodable {
        let ids: [Int32]
    }

    func run() async throws {
        let tokenizer = try Tokenizer.load(CLIPModel.folder(of: ModelLocation.url(model)))
        let (encoder, decoder) = (JSONEncoder(), JSONDecoder())
        var number = 0
        var failed = false
        while let line = readLine(strippingNewline: true) {
            number += 1
            if line.isEmpty { continue }
            guard let text = try? decoder.decode(String.self, from: Data(line.utf8)) else {
                Notices(isQuiet: false).warn(
                    "line \(number) of standard input is not a JSON string; write \"a photo of a cat.\" with its quotes")
                failed = true
                continue
            }
            try StandardOutput.line(String(decoding: encoder.encode(Line(ids: tokenizer.encode(text))), as: UTF8.self))
        }
        try StandardOutput.flush()
        if failed { throw CommandFailure.someItemsFailed }
    }
}
