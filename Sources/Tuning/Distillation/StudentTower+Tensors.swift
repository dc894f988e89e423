internal import CLIP
internal import Foundation
package import Quantization
internal import Tensors

extension StudentTower {
    static func points(_ tensors: QuantizedTensors, depth: Int) -> [CodeScale] {
        PointPlaces.all(depth: depth).map { point, block in
            guard let meaning = tensors.points[point.name(.vision, block: block)] else {
                preconditionFailure("\(point.name(.vision, block: block)) has no quantizer")
            }
            return meaning
        }
    }

    /// First values, in the order of `parameters`.
    static func parameters(
        _ layout: ParameterLayout, _ weights: WeightQuantizers, _ points: [CodeScale], _ tensors: QuantizedTensors, _ checkpoint: Checkpoint
    ) -> [Float] {
        var parameters = [Float](repeating: 0, count: layout.count)
        for entry in layout.entries where tensors.packed[entry.name] == nil {
            tensors.floats[entry.name]?.withUnsafeBufferPointer {
                parameters.replaceSubrange(entry.offset..<entry.offset + entry.count, with: $0)
            }
        }
        var scales: [Float] = []
        for matrix in weights.matrices {
            guard let packed = tensors.packed[matrix.name], let own = tensors.floats[matrix.name + ".scales"] else { continue }
            let rows = own.withUnsafeBufferPointer(Array.init)
            let found = checkpoint[matrix.name].withUnsafeBufferPointer { latent(matrix, packed.codes(), rows, near: $0) }
            parameters.replaceSubrange(matrix.offset..<matrix.offset + found.count, with: found)
            scales += rows
        }
        return parameters + scales.map { log($0) } + points.map { log($0.scale) }
    }

    /// The floats that have these codes, and are otherwise nearest to `own`.
    private static func latent(
        _ matrix: WeightQuantizers.Matrix, _ codes: [Int8], _ scales: [Float], near own: UnsafeBufferPointer<Float>
    ) -> [Float] {
        codes.indices.map { index in
            let (code, scale) = (Float(codes[index]), scales[index / matrix.columns])
            let low = code == matrix.low ? -Float.infinity : (code - 0.49) * scale
            let high = code == matrix.high ? Float.infinity : (code + 0.49) * scale
            return min(max(own[index], low), high)
        }
    }

    /// What the student has become, in the form of the tensors it began with.
    ///
    /// - Throws: `unpackable` for shapes that kernels can't take.
    package func replacing(_ tensors: QuantizedTensors) throws(QuantizationError) -> QuantizedTensors {
        let scales = scales()
        var points = tensors.points
        for (place, meaning) in zip(PointPlaces.all(depth: configuration.vision.depth), quantizers()) {
            points[place.point.name(.vision, block: place.block)] = meaning
        }
        var floats: [String: FloatTensor] = [:]
        for entry in layout.entries where tensors.packed[entry.name] == nil {
            floats[entry.name] = FloatTensor(shape: entry.shape) { target in
                for index in target.indices { target[index] = parameters[entry.offset + index] }
            }
        }
        let codes = weights.matrices.map { ($0.name, weights.codes($0, parameters, scales: scales)) }
        return try tensors.replacing(points: points).replacing(floats: floats, weights: Dictionary(uniqueKeysWithValues: codes))
    }
}
