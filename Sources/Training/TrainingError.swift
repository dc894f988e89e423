/// What can go wrong in a trainer's store and in retraining.
package enum TrainingError: Error, Equatable, CustomStringConvertible {
    case unusableFolder(path: String, reason: String)
    /// Another trainer has the folder.
    case locked(path: String)
    /// The features in the store are another model's.
    case otherModel(path: String)
    case damaged(path: String, reason: String)
    /// There is nothing to learn from, or nothing to decide on.
    case tooFewExamples(classSet: String, training: Int, heldOut: Int)
    /// The trainer was stopped in the middle; it goes on where it was when it is started again.
    case stopped

    /// Stable, for programs.
    package var code: String {
        switch self {
        case .unusableFolder: "trainer.folder"
        case .locked: "trainer.locked"
        case .otherModel: "trainer.other_model"
        case .damaged: "trainer.damaged"
        case .tooFewExamples: "trainer.too_few_examples"
        case .stopped: "trainer.stopped"
        }
    }

    package var description: String {
        switch self {
        case .unusableFolder(let path, let reason): "the trainer's folder \(path) can't be used: \(reason)"
        case .locked(let path): "another trainer has \(path); a store has one trainer at a time"
        case .otherModel(let path):
            "\(path) holds features of another model or teacher; start with those, or with a new folder and the labelled images again"
        case .damaged(let path, let reason): "\(path) is damaged: \(reason)"
        case .tooFewExamples(let set, let training, let heldOut):
            "\(set) has \(training) examples to learn from and \(heldOut) held out; both are needed, push more labelled images"
        case .stopped: "stopped; it goes on where it was when it is started again"
        }
    }
}
