internal import CLIP
package import Foundation
internal import Tensors

/// A run's state on disk, so that it can be resumed.
package struct TrainingCheckpoint: Sendable {
    private static let format = "p4q-training-1"
    private let url: URL
    /// Equal only for runs that may be resumed from each other: settings, data and model.
    private let identity: String

    package init(_ url: URL, identity: String) {
        self.url = url
        self.identity = identity
    }

    private struct Position: Codable {
        var epoch: Int
        var steps: Int
        var losses: TuningLosses?
        var bestAccuracy: Double?
        var bestEpoch: Int?
    }

    /// Writes the state, whole or not at all.
    package func write(_ state: TrainingState) throws(TuningError) {
        var entries = Self.entries("", state.parameters, state.ranges)
        if let best = state.best { entries += Self.entries("best.", best.parameters, best.ranges) }
        if let adam = state.adam {
            entries += Self.entries("first.", TuningParameters(context: [], adapter: adam.moments.first), nil)
            entries += Self.entries("second.", TuningParameters(context: [], adapter: adam.moments.second), nil)
        }
        let position = Position(
            epoch: state.epoch, steps: state.adam?.steps ?? 0, losses: state.losses, bestAccuracy: state.best?.accuracy,
            bestEpoch: state.best?.epoch)
        do throws(CLIPError) {
            try SafetensorsWriter.write(
                entries, metadata: ["format": Self.format, "identity": identity, "position": TuningFile.json(position)], to: url)
        } catch {
            throw .file(error)
        }
    }

    /// The state that was written last, or nil where there is none yet.
    ///
    /// - Throws: `checkpointMismatch` for another run's.
    package func read() throws(TuningError) -> TrainingState? {
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        let file: SafetensorsFile
        do throws(CLIPError) {
            file = try SafetensorsFile(url)
        } catch {
            throw .file(error)
        }
        guard file.metadata["format"] == Self.format, let position: Position = TuningFile.value(file, "position") else {
            throw .checkpointMismatch(file: url.path, reason: "it is no checkpoint of this program")
        }
        guard file.metadata["identity"] == identity else {
            throw .checkpointMismatch(file: url.path, reason: "its settings, data or model differ")
        }
        let last = try parameters(file, "")
        var state = TrainingState(parameters: last.0, adam: nil, epoch: position.epoch, losses: position.losses, ranges: last.1)
        if let adapter = last.0.adapter {
            var adam = AdamW(width: adapter.width)
            guard let first = try parameters(file, "first.").0.adapter, let second = try parameters(file, "second.").0.adapter else {
                throw .checkpointMismatch(file: url.path, reason: "its moments are missing")
            }
            adam.moments = (first, second)
            adam.steps = position.steps
            state.adam = adam
        }
        if let accuracy = position.bestAccuracy, let epoch = position.bestEpoch {
            let best = try parameters(file, "best.")
            state.best = .init(parameters: best.0, ranges: best.1, accuracy: accuracy, epoch: epoch)
        }
        return state
    }

    private static func entries(_ prefix: String, _ parameters: TuningParameters, _ ranges: AdapterRanges?) -> [SafetensorsWriter.Entry] {
        var entries: [SafetensorsWriter.Entry] = []
        if !parameters.context.isEmpty {
            entries.append(.init(prefix + "context", TuningFile.tensor(parameters.context, [parameters.context.count])))
        }
        if let adapter = parameters.adapter {
            for (name, path) in AdapterParameters.tensors {
                entries.append(.init(prefix + name, TuningFile.tensor(adapter[keyPath: path], adapter.shape(path))))
            }
        }
        if let ranges {
            let points = [ranges.input, ranges.inner].flatMap { [$0.scale, Float($0.zeroPoint)] }
            entries.append(.init(prefix + "points", TuningFile.tensor(points, [2, 2])))
        }
        return entries
    }

    private func parameters(_ file: SafetensorsFile, _ prefix: String) throws(TuningError) -> (TuningParameters, AdapterRanges?) {
        func floats(_ name: String) -> [Float]? {
            guard let tensor = file.tensors[prefix + name], tensor.type == .float32 else { return nil }
            return FloatTensor(shape: tensor.shape, file: tensor.file, byteOffset: tensor.byteOffset).withUnsafeBufferPointer(Array.init)
        }
        var adapter: AdapterParameters?
        if let bias = floats("fc2.bias") {
            var found = AdapterParameters(zeros: bias.count)
            for (name, path) in AdapterParameters.tensors {
                guard let values = floats(name), values.count == found[keyPath: path].count else {
                    throw .checkpointMismatch(file: url.path, reason: "\(prefix)\(name) is missing or of another shape")
                }
                found[keyPath: path] = values
            }
            adapter = found
        }
        let ranges = floats("points").flatMap { points -> AdapterRanges? in
            guard points.count == 4, let input = TuningFile.scale(points[0], points[1]),
                let inner = TuningFile.scale(points[2], points[3])
            else { return nil }
            return AdapterRanges(input: input, inner: inner)
        }
        return (TuningParameters(context: floats("context") ?? [], adapter: adapter), ranges)
    }
}
