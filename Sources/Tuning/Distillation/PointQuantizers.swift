internal import CLIP
internal import Tensors

/// The order of an image tower's quantization points where they stand in an array: the patches', then each block's.
enum PointPlaces {
    static let patches = 0
    private static let ofBlock = QuantizationPoint.allCases.filter { $0 != .patchInput }
    private static let offsets = Dictionary(uniqueKeysWithValues: ofBlock.enumerated().map { ($1, 1 + $0) })

    static func count(depth: Int) -> Int { 1 + depth * ofBlock.count }

    static func place(_ point: QuantizationPoint, block: Int) -> Int { offsets[point].map { $0 + block * ofBlock.count } ?? patches }

    /// Points and their blocks in order.
    static func all(depth: Int) -> [(point: QuantizationPoint, block: Int?)] {
        [(.patchInput, nil)] + (0..<depth).flatMap { block in ofBlock.map { ($0, block) } }
    }
}

/// The quantizers of an image tower's activations while it learns: values go through as what their codes stand for, gradients come back by
/// the straight-through rule, and each scale gets a gradient too.
///
/// Source: Esser et al., Learned step size quantization (2020), equation 3; here by the scale's logarithm.
final class PointQuantizers {
    /// By `PointPlaces`.
    var meanings: [CodeScale]
    /// Of the scales' logarithms, by `PointPlaces`.
    private(set) var gradients: [Double]
    private let kernels: FloatKernels
    /// What each block's kept tensors were rounded to, by the slots of these.
    private let rounded: [Workspace]

    init(_ meanings: [CodeScale], depth: Int, kernels: FloatKernels) {
        precondition(meanings.count == PointPlaces.count(depth: depth), "\(meanings.count) quantizers for \(depth) blocks")
        self.meanings = meanings
        self.kernels = kernels
        gradients = [Double](repeating: 0, count: meanings.count)
        rounded = (0..<depth).map { _ in Workspace() }
    }

    /// Those of block `index`.
    func block(_ index: Int) -> BlockQuantizers {
        BlockQuantizers(quantizers: self, block: index, rounded: rounded[index])
    }

    func clear() {
        for index in gradients.indices { gradients[index] = 0 }
    }

    /// Rounds `count` values in place.
    func round(_ x: UnsafeMutablePointer<Float>, _ count: Int, _ place: Int) {
        kernels.requantize(x, count: count, meaning: meanings[place], output: x)
    }

    /// Turns the gradient of the rounded values into that of `input`, what they were before, in place; adds that of the scale.
    ///
    /// By `s`, `x^ = (clamp(round(x / s + z)) - z) s` changes by `round(x / s) - x / s` where nothing was clipped, and by the end code less `z`
    /// where it was.
    func passGradient(_ gradient: UnsafeMutablePointer<Float>, input x: UnsafePointer<Float>, _ count: Int, _ place: Int) {
        let meaning = meanings[place]
        gradients[place] += Double(meaning.scale * Self.scaleGradient(gradient, x, count, meaning))
        kernels.clipGradient(gradient, input: x, count: count, meaning: meaning)
    }

    private typealias Lanes = SIMD8<Float>
    /// Adding and taking it away rounds a small float half to even.
    private static let rounder: Float = 12_582_912

    private static func scaleGradient(
        _ gradient: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ count: Int, _ meaning: CodeScale
    ) -> Float {
        let (inverse, zero, top) = (meaning.inverseScale, Float(meaning.zeroPoint), Float(meaning.top))
        var sum = Lanes()
        var index = 0
        while index + Lanes.scalarCount <= count {
            let values = UnsafeRawPointer(x + index).loadUnaligned(as: Lanes.self) * inverse
            let code = (values + zero).clamped(lowerBound: Lanes(repeating: 0), upperBound: Lanes(repeating: top))
            let rounded = code + rounder - rounder - zero
            let isInside = values + zero .>= -0.5 .& (values + zero .<= top + 0.5)
            let change = rounded.replacing(with: rounded - values, where: isInside)
            sum += UnsafeRawPointer(gradient + index).loadUnaligned(as: Lanes.self) * change
            index += Lanes.scalarCount
        }
        var total = sum.sum()
        while index < count {
            let value = x[index] * inverse
            let rounded = (min(max(value + zero, 0), top) + rounder) - rounder - zero
            let isInside = value + zero >= -0.5 && value + zero <= top + 0.5
            total += gradient[index] * (isInside ? rounded - value : rounded)
            index += 1
        }
        return total
    }
}

/// The quantizers of one block.
struct BlockQuantizers {
    private let quantizers: PointQuantizers
    private let block: Int
    let rounded: Workspace

    init(quantizers: PointQuantizers, block: Int, rounded: Workspace) {
        self.quantizers = quantizers
        self.block = block
        self.rounded = rounded
    }

    func round(_ x: UnsafeMutablePointer<Float>, _ count: Int, _ point: QuantizationPoint) {
        quantizers.round(x, count, PointPlaces.place(point, block: block))
    }

    func passGradient(
        _ gradient: UnsafeMutablePointer<Float>, input: UnsafePointer<Float>, _ count: Int, _ point: QuantizationPoint
    ) {
        quantizers.passGradient(gradient, input: input, count, PointPlaces.place(point, block: block))
    }
}
