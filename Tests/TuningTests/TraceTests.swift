import CLIP
import Foundation
import Quantization
import Tensors
import TestSupport
import Testing
import Tuning

/// A training run that PyTorch recorded: losses, gradients, and the parameters after six steps.
private struct Trace {
    struct Description: Decodable {
        let class_names: [String]
        let prompt_tokens: Int
        let adapt_ratio: Float
        let sgd_lr: Double
        let adamw_lr: Double
        let losses: [[Double]]
    }

    let description: Description
    let tensors: ReferenceTensors
    let tower: PromptTower
    let classes: [ClassTokens]
    let scale: Float

    init(_ folder: String, quantized: Bool) throws {
        let url = try SharedFolder.file(folder)
        let model = try SharedFolder.file("oracles/models/quickgelu-safetensors")
        description = try JSONDecoder().decode(Description.self, from: Data(contentsOf: url.appendingPathComponent("trace.json")))
        tensors = try ReferenceTensors(url.appendingPathComponent("trace.safetensors"))
        let checkpoint = try Checkpoint.load(model)
        let tokenizer = try Tokenizer.load(model)
        classes = description.class_names.map { ClassTokens($0, tokenizer) }
        scale = CLIPModel.scale(checkpoint)
        tower = quantized ? .quantized(try Self.quantized(checkpoint, tensors)) : .float(FloatTextEncoder(checkpoint))
    }

    private static func quantized(_ checkpoint: Checkpoint, _ tensors: ReferenceTensors) throws -> QuantizedTextEncoder {
        var points: [String: Calibration.Point] = [:]
        for name in tensors.entries.keys where name.hasPrefix("point.") {
            let values = tensors.floats(name)
            let operand = ["q", "k", "v", "probs"].contains { name.hasSuffix(".\($0)") }
            let bits = operand ? 8 : 4
            let range = ValueRange(low: 0, high: 1)
            points[String(name.dropFirst(6))] = Calibration.Point(
                minMax: range, ema: range, percentile: range,
                omse: [bits: ActivationQuantizer(scale: values[0], zeroPoint: Int32(values[1]), bits: bits)])
        }
        let quantized = try QuantizedTensors(
            checkpoint, Calibration(points: points), observer: .omse, bits: #require(BitPlan("4-4-8")), towers: [.text])
        return QuantizedTextEncoder(quantized, checkpoint.configuration)
    }

    func parameters(_ prefix: String) -> TuningParameters {
        var adapter = AdapterParameters(zeros: tensors.shape("features")[1])
        for (name, path) in AdapterParameters.tensors { adapter[keyPath: path] = tensors.floats(prefix + name) }
        return TuningParameters(context: tensors.floats(prefix + "context"), adapter: adapter)
    }

    var batch: TuningBatch {
        let classes = description.class_names.count
        let labels = tensors.int32s("labels").map(Int.init)
        var teacher = tensors.floats("teacher_logits")
        FloatKernels().softmax(&teacher, stride: classes, scale: 1, rows: labels.count, width: classes)
        return TuningBatch(features: tensors.floats("features"), labels: labels, teacher: teacher)
    }

    func objective(sharing: Bool, rule: StraightThrough = .clipped, threads: Int = 2) -> TuningObjective {
        let pass = PromptPass(
            tower: tower, classes: classes, contextLength: description.prompt_tokens, rule: rule, pool: ThreadPool(threads: threads),
            sharing: sharing)
        return TuningObjective(prompt: pass, scale: scale, ratio: description.adapt_ratio)
    }
}

/// The largest difference, as a share of the largest expected magnitude.
private func difference(_ found: [Float], _ expected: [Float], relative: Bool = false) -> Float {
    guard found.count == expected.count, !found.isEmpty else { return .infinity }
    let largest = zip(found, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
    return relative ? largest / expected.reduce(1e-9) { max($0, abs($1)) } : largest
}

@Suite(.enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)"))
struct TraceTests {
    private static let folders = ["oracles/tuning", "oracles/quantized/trace"]

    @Test(arguments: folders, [true, false])
    func `losses, gradients and six steps are PyTorch's`(folder: String, sharing: Bool) throws {
        let trace = try Trace(folder, quantized: folder != "oracles/tuning")
        let objective = trace.objective(sharing: sharing)
        var parameters = trace.parameters("")
        let first = objective.evaluate(parameters, trace.batch)
        #expect(difference(first.textFeatures, trace.tensors.floats("text_features"), relative: true) < 1e-4)
        #expect(difference(first.logits, trace.tensors.floats("logits"), relative: true) < 1e-4)
        let expected = trace.parameters("grad.")
        #expect(difference(first.gradient.context, expected.context, relative: true) < 1e-3)
        for (name, path) in AdapterParameters.tensors {
            let found = try #require(first.gradient.adapter)[keyPath: path]
            #expect(difference(found, try #require(expected.adapter)[keyPath: path], relative: true) < 1e-3, "\(name)")
        }

        var adam = AdamW(width: trace.tensors.shape("features")[1])
        for losses in trace.description.losses {
            let step = objective.evaluate(parameters, trace.batch)
            #expect(abs(step.losses.classification - losses[0]) < 1e-4)
            #expect(abs(step.losses.distillation - losses[1]) < 1e-4)
            for index in parameters.context.indices {
                parameters.context[index] -= Float(trace.description.sgd_lr) * step.gradient.context[index]
            }
            var adapter = try #require(parameters.adapter)
            adam.step(&adapter, gradient: try #require(step.gradient.adapter), rate: trace.description.adamw_lr)
            parameters.adapter = adapter
        }
        let after = trace.parameters("after6.")
        #expect(difference(parameters.context, after.context) < 1e-4)
        for (name, path) in AdapterParameters.tensors {
            let found = try #require(parameters.adapter)[keyPath: path]
            #expect(difference(found, try #require(after.adapter)[keyPath: path]) < 1e-4, "\(name)")
        }
    }

    @Test(arguments: folders) func `the number of threads changes no bit`(folder: String) throws {
        let trace = try Trace(folder, quantized: folder != "oracles/tuning")
        let one = trace.objective(sharing: true, threads: 1).evaluate(trace.parameters(""), trace.batch)
        for threads in 2...3 {
            let found = trace.objective(sharing: true, threads: threads).evaluate(trace.parameters(""), trace.batch)
            #expect(found.gradient == one.gradient && found.losses == one.losses && found.textFeatures == one.textFeatures)
        }
    }

    @Test func `the rules of going through a quantizer differ, and without a rule no prompt trains`() throws {
        let trace = try Trace("oracles/quantized/trace", quantized: true)
        func context(_ rule: StraightThrough) -> [Float] {
            trace.objective(sharing: true, rule: rule).evaluate(trace.parameters(""), trace.batch).gradient.context
        }
        #expect(context(.none).allSatisfy { $0 == 0 })
        #expect(difference(context(.identity), context(.clipped), relative: true) > 1e-3)
    }
}
