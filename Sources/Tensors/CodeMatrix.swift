internal import CKernels

/// The meaning of u8 codes: `x = (code - zeroPoint) * scale`, `code = rint(min(max(fma(x, 1 / scale, zeroPoint), 0), top))`.
package struct CodeScale: Sendable, Equatable {
    package let scale: Float

    /// 0 ... `top`.
    package let zeroPoint: Int

    /// The largest code, `2^bits - 1`.
    package let top: Int

    package let bits: BitWidth

    /// `1 / scale` in float32.
    package var inverseScale: Float { 1 / scale }

    /// - Precondition: `zeroPoint` lies in the range of `bits`; whoever read the file has checked that.
    package init(scale: Float, zeroPoint: Int, bits: BitWidth) {
        precondition(bits.unsignedRange.contains(zeroPoint), "zero point \(zeroPoint) lies outside \(bits.rawValue) bits")
        self.scale = scale
        self.zeroPoint = zeroPoint
        self.bits = bits
        top = bits.unsignedRange.upperBound
    }
}

/// A caller's u8 codes [rows, columns] and what they mean. The pointer is the caller's to keep alive.
package struct CodeMatrix {
    package let codes: UnsafePointer<UInt8>

    /// Elements from row to row.
    package let stride: Int

    package let rows: Int
    package let columns: Int
    package let meaning: CodeScale

    package init(_ codes: UnsafePointer<UInt8>, stride: Int, rows: Int, columns: Int, meaning: CodeScale) {
        self.codes = codes
        self.stride = stride
        self.rows = rows
        self.columns = columns
        self.meaning = meaning
    }

    /// Some of the rows.
    func rows(_ range: Range<Int>) -> CodeMatrix {
        CodeMatrix(codes + range.lowerBound * stride, stride: stride, rows: range.count, columns: columns, meaning: meaning)
    }

    func describe(in product: inout p4q_gemm) {
        product.m = Int64(rows)
        product.k = Int64(columns)
        product.a = codes
        product.a_stride = Int64(stride)
        product.a_visible = -1
        product.a_zero = Int32(meaning.zeroPoint)
        product.a_top = Int32(meaning.top)
    }

    var segment: p4q_rows { p4q_rows(codes: codes, stride: Int64(stride), rows: Int64(rows)) }
}

/// What turns sums into floats: `y = fma(sum, scale[n], bias[n])`, with `scale` the product of both operands' scales.
package enum ChannelScales {
    /// [N] scales, and [N] biases or none.
    case perChannel(UnsafePointer<Float>, bias: UnsafePointer<Float>?)
    /// One scale, no bias.
    case common(Float)

    func describe(in epilogue: inout p4q_epilogue) {
        switch self {
        case .perChannel(let scales, let bias):
            epilogue.scale = scales
            epilogue.bias = bias
        case .common(let scale):
            epilogue.common_scale = scale
        }
    }
}

/// Where a product goes and in which form; `y` is defined at `ChannelScales`.
package enum ProductOutput {
    /// The exact sums over k of `(a - zeroPoint) * w`.
    case sums(UnsafeMutablePointer<Int32>)
    /// `y`
    case floats(UnsafeMutablePointer<Float>)
    /// `out + y`: the residual stream.
    case adding(UnsafeMutablePointer<Float>)
    /// Codes of `y`, or of an activation function's value.
    case codes(UnsafeMutablePointer<UInt8>, CodeScale, activation: Activation = .none)

    package enum Activation: Sendable {
        case none
        /// `y * sigmoid(1.702 y)`
        case quickGELU
        /// `y / 2 * (1 + erf(y / sqrt 2))`
        case gelu
    }

    /// The same, `elements` further on.
    func advanced(by elements: Int) -> ProductOutput {
        switch self {
        case .sums(let out): .sums(out + elements)
        case .floats(let out): .floats(out + elements)
        case .adding(let out): .adding(out + elements)
        case .codes(let out, let meaning, let activation): .codes(out + elements, meaning, activation: activation)
        }
    }

    func describe(in epilogue: inout p4q_epilogue) {
        switch self {
        case .sums(let out):
            epilogue.store = P4Q_STORE_SUMS
            epilogue.out = UnsafeMutableRawPointer(out)
        case .floats(let out):
            epilogue.store = P4Q_STORE_FLOATS
            epilogue.out = UnsafeMutableRawPointer(out)
        case .adding(let out):
            epilogue.store = P4Q_ADD_FLOATS
            epilogue.out = UnsafeMutableRawPointer(out)
        case .codes(let out, let meaning, let activation):
            epilogue.store = activation.store
            epilogue.out = UnsafeMutableRawPointer(out)
            epilogue.inverse_scale = meaning.inverseScale
            epilogue.zero_point = Float(meaning.zeroPoint)
            epilogue.top = Float(meaning.top)
        }
    }
}

extension ProductOutput.Activation {
    fileprivate var store: p4q_store {
        switch self {
        case .none: P4Q_STORE_CODES
        case .quickGELU: P4Q_STORE_QUICK_GELU_CODES
        case .gelu: P4Q_STORE_GELU_CODES
        }
    }
}
