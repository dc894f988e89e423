import ArgumentParser
import CLIP
import Datasets
import Foundation
import Imaging
import Quantization
import Services
import Tensors
import Transport
import Tuning

/// What a person reads when a command can't go on, and the exit code that a script sees.
enum CommandFailure {
    static let someItemsFailed = ExitCode(1)

    /// Prints what the error says and gives the exit code for it; errors of the argument parser pass as they are.
    static func explaining(_ error: any Error) -> any Error {
        guard let code = exitCode(error) else { return error }
        FileHandle.standardError.write(Data("p4q: \(error)\n".utf8))
        return code
    }

    private static func exitCode(_ error: any Error) -> ExitCode? {
        switch error {
        case CLIPError.unreadable, CLIPError.missingFile: ExitCode(66)
        case is CLIPError, is ImagingError, is DatasetError, is TensorsError, is QuantizationError, is PretrainingError: ExitCode(65)
        case is TransportError: ExitCode(69)
        case is QueueWorker.UnsentResults: ExitCode(75)
        default: nil
        }
    }
}

/// A reader that goes away (`p4q ... | head`) ends the program by a failed write, not by a signal in the middle of one.
func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
