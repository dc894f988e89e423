internal import Crypto
internal import Foundation

/// A labelled image as the trainer keeps it.
package struct LabelledExample: Sendable, Equatable {
    package var classSet: String
    /// The example's name in its class set.
    package var id: String
    /// The class's display name.
    package var label: String
    /// When the label was given, milliseconds since 1970-01-01 UTC.
    package var labelled: Int64
    /// SHA-256 of the image's bytes.
    package var digest: [UInt8]
    /// [views, featureWidth]: the quantized tower's, of the image and of its mirror image.
    package var features: [Float]
    /// [views, featureWidth]: the teacher's.
    package var teacher: [Float]
    /// The image's bytes, where they are kept.
    package var image: [UInt8]?

    package init(
        classSet: String, id: String, label: String, labelled: Int64, digest: [UInt8], features: [Float], teacher: [Float],
        image: [UInt8]? = nil
    ) {
        self.classSet = classSet
        self.id = id
        self.label = label
        self.labelled = labelled
        self.digest = digest
        self.features = features
        self.teacher = teacher
        self.image = image
    }
}

/// What became of an example that was handed to the store.
package enum ExampleEffect: Sendable, Equatable {
    case kept
    /// Kept with another label than before.
    case corrected
    /// It is there already, with this label or one that was given later.
    case unchanged
    /// Its class has as many as are kept, and the draw left this one out.
    case notDrawn
    /// It was forgotten on request, and can't come back.
    case forgotten
}

/// An example's place, which depends on its name alone: it never moves from one side of the split to the other, and the draw of those that are
/// kept does not depend on the order in which they came.
struct ExampleHash: Equatable {
    /// SHA-256 of the class set's and the example's name.
    let bytes: [UInt8]

    init(classSet: String, id: String) {
        bytes = Array(SHA256.hash(data: Data(classSet.utf8) + [0] + Data(id.utf8)))
    }

    /// Whether it is among the share that is held out.
    func isHeldOut(share: Double) -> Bool { Double(word(0) >> 11) * 0x1p-53 < share }

    /// The smallest ones of a class are kept: a uniform draw of all names that ever came (bottom-k sampling).
    var priority: Int64 { Int64(bitPattern: word(8)) }

    private func word(_ offset: Int) -> UInt64 { bytes[offset..<offset + 8].reduce(0) { $0 << 8 | UInt64($1) } }
}
