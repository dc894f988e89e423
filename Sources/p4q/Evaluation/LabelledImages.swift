import CLIP
import Datasets
import Foundation
import Messages
import Services
import Tuning

/// The images of a data set with the index of each one's class, in pieces that fit into memory. What can't be used is counted and said.
struct LabelledImages {
    /// Images of a piece: eight batches of 32.
    private static let pieceLength = 256
    /// Failures that are told one by one; the rest are only counted.
    private static let mostWarnings = 20

    private let source: ImageSource
    private let labels: ClassLabels
    private let classSet: String
    private let topK: Int
    private let notices: Notices
    /// Images that could not be used, by the code that says why.
    private(set) var failures: [String: Int] = [:]

    init(_ inputs: [String], classSet: ClassSet, maxBytes: Int, quiet: Bool) {
        source = ImageSource(inputs, limit: maxBytes)
        labels = ClassLabels(classSet)
        self.classSet = classSet.name
        topK = min(Evaluation.rankingLength, classSet.classes.count)
        notices = Notices(isQuiet: quiet)
    }

    var failed: Int { failures.values.reduce(0, +) }

    /// The next piece; nil at the end.
    mutating func next() -> [(job: ClassificationJob, label: Int)]? {
        var piece: [(job: ClassificationJob, label: Int)] = []
        while piece.count < Self.pieceLength {
            do throws(DatasetError) {
                guard let item = try source.next() else { break }
                guard let text = item.label else {
                    fail(
                        item.id, "label.missing", "it has no label: put images into a folder named after their class, or a .cls beside them"
                    )
                    continue
                }
                guard let label = labels.index(of: text) else {
                    fail(
                        item.id, "label.unknown", "\"\(text)\" is not one class of the class set \"\(classSet)\"; add it there as a synonym"
                    )
                    continue
                }
                let payload = ImagePayload.data(Data(try item.load()))
                piece.append((ClassificationJob(Job(id: item.id, topK: topK), payload: payload), label))
            } catch {
                fail(error.subject, error.code, "\(error)")
            }
        }
        return piece.isEmpty ? nil : piece
    }

    /// Counts an image that could not be used.
    mutating func fail(_ id: String, _ code: String, _ message: String) {
        failures[code, default: 0] += 1
        if failed <= Self.mostWarnings { notices.warn("left out: \(id): \(code): \(message)") }
        if failed == Self.mostWarnings { notices.warn("further images that are left out are only counted") }
    }
}
