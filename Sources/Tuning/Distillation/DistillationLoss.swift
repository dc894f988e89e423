package import Tensors

/// How far a student's image features are from the teacher's: one less their cosine, as a mean over the pictures.
package struct DistillationLoss {
    private let width: Int
    private let kernels: FloatKernels

    /// - Parameter width: of a feature.
    package init(width: Int, kernels: FloatKernels = FloatKernels()) {
        self.width = width
        self.kernels = kernels
    }

    /// The loss of features [pictures, width], and its gradient by the student's.
    package func evaluate(student: [Float], teacher: [Float]) -> (loss: Double, gradient: [Float]) {
        precondition(student.count == teacher.count, "\(student.count) floats of a student for \(teacher.count) of its teacher")
        let share = -1 / Float(max(student.count / width, 1))
        let byUnit = unitRows(teacher).map { $0 * share }
        let loss = 1 + zip(unitRows(student), byUnit).reduce(0.0) { $0 + Double($1.0 * $1.1) }
        let gradient = rows(student.count) { place, target in
            byUnit.withUnsafeBufferPointer { byUnit in
                student.withUnsafeBufferPointer { student in
                    guard let byUnit = byUnit.baseAddress, let student = student.baseAddress else { return }
                    kernels.normalizeGradient(byUnit + place, input: student + place, count: width, to: target)
                }
            }
        }
        return (loss, gradient)
    }

    private func unitRows(_ x: [Float]) -> [Float] {
        rows(x.count) { place, target in
            x.withUnsafeBufferPointer { x in
                if let x = x.baseAddress { kernels.normalize(x + place, count: width, output: target) }
            }
        }
    }

    /// `count` floats, of which `body` writes a row at a time.
    private func rows(_ count: Int, _ body: (_ place: Int, _ target: UnsafeMutablePointer<Float>) -> Void) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { target, initialized in
            guard let target = target.baseAddress else { return }
            for place in stride(from: 0, to: count, by: width) { body(place, target + place) }
            initialized = count
        }
    }
}
