internal import Tensors

/// The kernels that pictures are resized with, antialiased; raw values are Pillow's and preprocessor_config.json's.
package enum ResampleFilter: Int, Sendable {
    case bilinear = 2
    case bicubic = 3

    /// How far from the middle the filter reaches, in pixels of the smaller picture.
    var support: Double {
        switch self {
        case .bilinear: 1
        case .bicubic: 2
        }
    }

    /// Source: Keys' cubic convolution with a = -0.5, in the order of operations that Pillow evaluates it in.
    func callAsFunction(_ distance: Double) -> Double {
        let x = abs(distance)
        switch self {
        case .bilinear: return x < 1 ? 1 - x : 0
        case .bicubic:
            let a = -0.5
            if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
            return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
        }
    }
}

/// What of one axis is resampled: `inputs` pixels become `outputs`, of which those in `window` are wanted.
struct ResampleSpec: Equatable {
    let inputs: Int
    let outputs: Int
    let window: Range<Int>
    let filter: ResampleFilter

    var changesSize: Bool { inputs != outputs }

    private var scale: Double { Double(inputs) / Double(outputs) }
    private var reach: Double { filter.support * max(scale, 1) }

    /// The inputs that output `index` is made of.
    private func taps(of index: Int) -> Range<Int> {
        let center = (Double(index) + 0.5) * scale
        let first = max(0, Int(center - reach + 0.5))
        return first..<max(first, min(inputs, Int(center + reach + 0.5)))
    }

    /// The inputs that any wanted output is made of.
    var inputWindow: Range<Int> {
        guard let last = window.last else { return 0..<0 }
        return taps(of: window.lowerBound).lowerBound..<taps(of: last).upperBound
    }

    /// The axis for inputs counted from `inputWindow`'s first. Weights in double, then rounded to fixed point, half away from zero.
    func axis() -> ResampleAxis {
        let origin = inputWindow.lowerBound
        let inverse = 1 / max(scale, 1)
        var first: [Int] = []
        var taps: [[Int32]] = []
        for index in window {
            let range = self.taps(of: index)
            let center = (Double(index) + 0.5) * scale
            let weights = range.map { filter((Double($0) - center + 0.5) * inverse) }
            let sum = weights.reduce(0, +)
            first.append(range.lowerBound - origin)
            taps.append(weights.map { Self.fixed(sum == 0 ? $0 : $0 / sum) })
        }
        return ResampleAxis(first: first, taps: taps)
    }

    private static func fixed(_ weight: Double) -> Int32 {
        Int32((weight < 0 ? -0.5 : 0.5) + weight * Double(1 << ResampleAxis.fractionBits))
    }
}
