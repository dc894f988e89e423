internal import Tensors

/// QAdapter's parameters in float: `f' = a * FC2(ReLU(FC1(f))) + (1 - a) * f`. Source: the paper's equations 10 to 12.
package struct AdapterParameters: Sendable, Equatable {
    /// D, the length of a feature.
    package let width: Int
    /// D / 4, between the layers.
    package let inner: Int
    /// [inner, width]
    package var weight1: [Float]
    /// [inner]
    package var bias1: [Float]
    /// [width, inner]
    package var weight2: [Float]
    /// [width]
    package var bias2: [Float]

    /// All zeros: where gradients and moments begin.
    package init(zeros width: Int) {
        self.width = width
        inner = Self.inner(of: width)
        weight1 = Array(repeating: 0, count: inner * width)
        bias1 = Array(repeating: 0, count: inner)
        weight2 = Array(repeating: 0, count: width * inner)
        bias2 = Array(repeating: 0, count: width)
    }

    /// Uniform in +-1 / sqrt(inputs), weights and biases, as PyTorch initialises linear layers.
    package init(width: Int, random: PhiloxRandom) {
        self.init(zeros: width)
        let (first, second) = (1 / Float(width).squareRoot(), 1 / Float(inner).squareRoot())
        weight1 = random.stream(0).uniforms(weight1.count, first)
        bias1 = random.stream(1).uniforms(bias1.count, first)
        weight2 = random.stream(2).uniforms(weight2.count, second)
        bias2 = random.stream(3).uniforms(bias2.count, second)
    }

    /// The width between the layers.
    package static func inner(of width: Int) -> Int { max(width / 4, 1) }

    /// Its four tensors, by the names that files give them.
    package static var tensors: [(name: String, path: WritableKeyPath<AdapterParameters, [Float]>)] {
        [("fc1.weight", \.weight1), ("fc1.bias", \.bias1), ("fc2.weight", \.weight2), ("fc2.bias", \.bias2)]
    }

    /// Extents of a tensor of `tensors`.
    package func shape(_ path: WritableKeyPath<AdapterParameters, [Float]>) -> [Int] {
        switch path {
        case \.weight1: [inner, width]
        case \.weight2: [width, inner]
        default: [self[keyPath: path].count]
        }
    }
}
