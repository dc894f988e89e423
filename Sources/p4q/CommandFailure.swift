import ArgumentParser
import BuiltInModel
import CLIP
import Datasets
import Foundation
import Imaging
import JobQueue
import Messages
import Quantization
import Services
import Tensors
import Training
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

    /// Why a file operation failed, as the system says it.
    static func reason(_ error: any Error) -> String {
        let cause = (error as? CocoaError)?.underlying ?? error
        return (cause as? POSIXError).map { String(cString: strerror($0.code.rawValue)) } ?? error.localizedDescription
    }

    /// Whether the error itself says what a person needs to know.
    static func isExplained(_ error: any Error) -> Bool { exitCode(error) != nil }

    private static func exitCode(_ error: any Error) -> ExitCode? {
        switch error {
        case CLIPError.unreadable, CLIPError.missingFile, CLIPError.classSetUnreadable, TuningError.file(.unreadable): ExitCode(66)
        case DatasetError.unreadable(let path, _) where !FileManager.default.fileExists(atPath: path): ExitCode(66)
        case is CLIPError, is ImagingError, is DatasetError, is TensorsError, is QuantizationError, is TuningError, is PretrainingError:
            ExitCode(65)
        case let error as ConfigurationError: ExitCode(error.isUnreadable ? 66 : 65)
        case is KeyFileError, is NoImages, is CalibrationImages.Missing: ExitCode(66)
        case TrainingError.unusableFolder, is Report.Missing: ExitCode(66)
        case TrainingError.locked: ExitCode(75)
        case TrainingError.damaged: ExitCode(74)
        case is TrainingError: ExitCode(65)
        case is WatchPort.InvalidAddress, is PaperStore.OtherInputs: ExitCode(64)
        case is ChildProcess.KeepsCrashing, is Canary.Failure: ExitCode(70)
        case let error as JobQueueError: ExitCode(error.exitCode)
        case is PushToDispatcher.NoAnswer: ExitCode(75)
        case is CollectFromDispatcher.Silence, is WatchPort.Unusable: ExitCode(69)
        case is CollectFromDispatcher.TurnedAway: ExitCode(77)
        case is ResultFile.Failure: ExitCode(74)
        case let failure as Failure: ExitCode(failure.code == "access.forbidden" ? 77 : 65)
        case is BuiltInModel.Unwritable: ExitCode(70)
        case ReleaseError.conflict, ReleaseError.pinned: ExitCode(75)
        case ReleaseError.unknown, ReleaseError.noReleases, ReleaseError.noLive, ReleaseError.noEarlier, ReleaseError.gone: ExitCode(66)
        case is ReleaseError, is MessageError: ExitCode(65)
        case is TransportError, is Train.SilentDispatcher: ExitCode(69)
        case is QueueWorker.UnsentResults: ExitCode(75)
        default: nil
        }
    }
}

/// A reader that goes away (`p4q ... | head`) ends the program by a failed write, not by a signal in the middle of one.
func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

/// As many open files as the system allows this user, within reason: each connection of a dispatcher is one.
func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, 65_536))
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
