package import CLIP
package import Messages
package import Tensors
package import Tuning

/// All that the answer to a job depends on behind the image tower, as one reference: who holds it scores wholly by it, whatever is swapped.
package final class LiveClassifier: Sendable {
    package let classifier: ZeroShotClassifier
    package let adapter: QuantizedAdapter?
    /// The release that it is of; nil: the model's own.
    package let mark: ReleaseMark?
    /// What is tried beside it.
    package let shadow: LiveClassifier?

    package init(
        _ classifier: ZeroShotClassifier, adapter: QuantizedAdapter? = nil, mark: ReleaseMark? = nil, shadow: LiveClassifier? = nil
    ) {
        self.classifier = classifier
        self.adapter = adapter
        self.mark = mark
        self.shadow = shadow
    }

    /// Turns image features [count, width] into those that are compared with the text features, in place.
    package func adapt(_ features: UnsafeMutableBufferPointer<Float>, count: Int, workspace: Workspace) {
        adapter?.apply(to: features, count: count, workspace: workspace)
    }
}
