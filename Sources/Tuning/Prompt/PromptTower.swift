package import CLIP
package import Quantization
internal import Tensors

/// A linear map of a transformer block.
enum LinearMap: Int, CaseIterable {
    case query, key, value, output, dense1, dense2
}

/// A text tower that prompts are learned through: in float, or on integers with the very bits of `QuantizedTextEncoder`.
package enum PromptTower: Sendable {
    case float(FloatTextEncoder)
    case quantized(QuantizedTextEncoder)

    /// The tower of a text encoder; nil for one of another kind.
    package init?(_ encoder: any TextEncoder) {
        switch encoder {
        case let encoder as FloatTextEncoder: self = .float(encoder)
        case let encoder as QuantizedTextEncoder: self = .quantized(encoder)
        default: return nil
        }
    }

    package var configuration: CLIPConfiguration {
        switch self {
        case .float(let encoder): encoder.configuration
        case .quantized(let encoder): encoder.configuration
        }
    }

    /// Bit widths as "4-4-8"; "32" for the float tower.
    package var bits: String {
        guard case .quantized(let encoder) = self, let block = encoder.transformer.blocks.first else { return "32" }
        func width(_ top: Int) -> Int { (top + 1).trailingZeroBitCount }
        return "\(block.query.weight.bits.rawValue)-\(width(block.query.input.top))-\(width(block.queryCodes.top))"
    }

    var width: Int { configuration.text.width }
    var depth: Int { configuration.text.depth }

    var kernels: FloatKernels {
        switch self {
        case .float(let encoder): encoder.transformer.kernels
        case .quantized(let encoder): encoder.transformer.kernels
        }
    }

    var positions: FloatTensor {
        switch self {
        case .float(let encoder): encoder.positions
        case .quantized(let encoder): encoder.positions
        }
    }

    var finalNorm: LayerNorm {
        switch self {
        case .float(let encoder): encoder.finalNorm
        case .quantized(let encoder): encoder.finalNorm
        }
    }

    /// [features, width]
    var projection: FloatTensor {
        switch self {
        case .float(let encoder): encoder.projection
        case .quantized(let encoder): encoder.projection
        }
    }

    func embed(_ id: Int32, position: Int, to row: UnsafeMutablePointer<Float>) {
        switch self {
        case .float(let encoder): encoder.embed(id, position: position, to: row)
        case .quantized(let encoder): encoder.embed(id, position: position, to: row)
        }
    }

    /// LayerNorm before attention (`first`) or before the dense layers of block `index`.
    func norm(_ index: Int, first: Bool) -> LayerNorm {
        switch self {
        case .float(let encoder):
            let block = encoder.transformer.blocks[index]
            return first ? block.norm1 : block.norm2
        case .quantized(let encoder):
            let block = encoder.transformer.blocks[index]
            return first ? block.norm1 : block.norm2
        }
    }

    /// The quantizer at a point of block `index`; nil in float.
    func quantizer(_ index: Int, _ point: QuantizationPoint) -> CodeScale? {
        guard case .quantized(let encoder) = self else { return nil }
        let block = encoder.transformer.blocks[index]
        switch point {
        case .patchInput: return nil
        case .qkvInput: return block.query.input
        case .query: return block.queryCodes
        case .key: return block.keyCodes
        case .value: return block.valueCodes
        case .probabilities: return block.probabilities
        case .outputInput: return block.output.input
        case .dense1Input: return block.dense1.input
        case .dense2Input: return block.dense2.input
        }
    }

    /// The weight of a map as its gradient needs it, [outputs, inputs]: in a quantized tower, what the codes stand for, made anew.
    func gradientWeight(_ index: Int, _ map: LinearMap) -> FloatTensor {
        switch self {
        case .float(let encoder): encoder.transformer.blocks[index][map].weight
        case .quantized(let encoder): encoder.transformer.blocks[index][map].floatWeight()
        }
    }

    func outputs(_ map: LinearMap) -> Int { map == .dense1 ? configuration.text.mlpWidth : width }
    func inputs(_ map: LinearMap) -> Int { map == .dense2 ? configuration.text.mlpWidth : width }
}

extension TransformerBlock {
    subscript(map: LinearMap) -> Dense {
        switch map {
        case .query: query
        case .key: key
        case .value: value
        case .output: output
        case .dense1: dense1
        case .dense2: dense2
        }
    }
}

extension QuantizedBlock {
    subscript(map: LinearMap) -> QuantizedDense {
        switch map {
        case .query: query
        case .key: key
        case .value: value
        case .output: output
        case .dense1: dense1
        case .dense2: dense2
        }
    }
}
