import CLIP
import Foundation
import Quantization
import Tensors
import Testing

struct PlanTests {
    private static let bits = BitPlan(weights: .four, activations: .four, attention: .eight)
    private static let configuration = SmallQuantizedCLIP.configuration

    private func file(_ text: String) throws -> [PlanOverride] {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: url) }
        try Data(text.utf8).write(to: url)
        return try PlanOverride.list(contentsOf: url)
    }

    /// The stable code of what the body throws.
    private func code(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return (error as? QuantizationError)?.code ?? "\(error)"
        }
    }

    private func plan(_ overrides: [PlanOverride], recipe: Recipe = .paper) -> QuantizationPlan {
        QuantizationPlan(recipe: recipe, bits: Self.bits, observer: .omse, overrides: overrides)
    }

    @Test func `YAML and JSON give the same exceptions`() throws {
        let yaml = try file("- match: vision.0.*\n  weights: 8\n- {match: text.*.qkv, attention: 4, observer: minmax}\n")
        let json = try file(
            #"[{"match": "vision.0.*", "weights": 8}, {"match": "text.*.qkv", "attention": 4, "observer": "minmax"}]"#)
        #expect(yaml == json)
        #expect(
            yaml == [
                PlanOverride(match: "vision.0.*", weights: .eight), PlanOverride(match: "text.*.qkv", attention: .four, observer: .minMax),
            ])
    }

    @Test(arguments: [
        "- match: a\n  weights: 5", "- match: a\n  weigths: 8", "- weights: 8", "- match: a", "match: a", "- {",
        "- match: a\n  observer: best",
    ])
    func `a file with a mistake is refused`(text: String) {
        #expect(code { _ = try file(text) } == "quantization.overrides_invalid")
    }

    @Test func `an unknown name is an error that gives the nearest names, and so is a setting without effect`() {
        let misspelt = plan([PlanOverride(match: "vision.0.fc3", weights: .eight)])
        #expect(code { try misspelt.validate(for: Self.configuration) } == "quantization.override_unknown")
        do {
            try misspelt.validate(for: Self.configuration)
        } catch {
            #expect("\(error)".contains("vision.0.fc3") && "\(error)".contains("vision.0.fc1") && "\(error)".contains("vision.0.fc2"))
        }
        let idle = plan([PlanOverride(match: "vision.0.q", weights: .eight)])
        #expect(code { try idle.validate(for: Self.configuration) } == "quantization.override_idle")
        let attention = plan([PlanOverride(match: "vision.*", attention: .four)], recipe: .reference)
        #expect(code { try attention.validate(for: Self.configuration) } == "quantization.override_idle")
        let percentile = plan([PlanOverride(match: "text.1.*", observer: .percentile)], recipe: .reference)
        #expect(code { try percentile.validate(for: Self.configuration) } == "quantization.observer_per_channel")
        #expect(code { try plan([PlanOverride(match: "*", weights: .two)]).validate(for: Self.configuration) } == nil)
    }

    @Test func `a later exception wins, and a layer's reaches its points`() throws {
        let plan = plan([
            PlanOverride(match: "vision.*", weights: .eight), PlanOverride(match: "vision.1.fc?", weights: .two, activations: .three),
            PlanOverride(match: "vision.1.fc2.in", activations: .eight), PlanOverride(match: "text.0.qkv", attention: .four),
            PlanOverride(match: "text.0.v", attention: .three),
        ])
        #expect(plan.weights("vision.patch") == .eight && plan.weights("vision.1.fc1") == .two && plan.weights("text.0.out") == .four)
        #expect(plan.widths(Self.configuration, attentionOperands: false) == [3, 4, 8])
        #expect(plan.widths(Self.configuration, attentionOperands: true) == [3, 4, 8])
        let checkpoint = ShapedCLIP.odd.checkpoint
        let tensors = try QuantizedTensors(checkpoint, calibrate(plan, checkpoint), plan)
        func top(_ point: String) -> Int? { tensors.points[point]?.top }
        #expect(top("vision.1.fc1.in") == 7 && top("vision.1.fc2.in") == 255 && top("vision.0.fc1.in") == 15)
        #expect(top("text.0.q") == 15 && top("text.0.probs") == 15 && top("text.0.v") == 7 && top("text.1.v") == 255)
    }

    private func calibrate(_ plan: QuantizationPlan, _ checkpoint: Checkpoint) throws -> Calibration {
        let calibrator = Calibrator(
            image: FloatImageEncoder(checkpoint, normalization: SmallQuantizedCLIP.normalization), text: FloatTextEncoder(checkpoint),
            activationBits: plan.widths(Self.configuration, attentionOperands: false),
            attentionBits: plan.widths(Self.configuration, attentionOperands: true), pool: .serial)
        try calibrator.observe(crops: ShapedCLIP.odd.crops)
        try calibrator.observe(prompts: ShapedCLIP.odd.prompts)
        return calibrator.finish()
    }

    @Test func `layers of mixed widths agree with the simulation, and come back from a file as they were`() throws {
        let plan = plan([
            PlanOverride(match: "*.0.fc1", weights: .eight, activations: .eight),
            PlanOverride(match: "*.1.qkv", weights: .two, attention: .four),
            PlanOverride(match: "*.k", attention: .three), PlanOverride(match: "vision.2.out", weights: .three, activations: .two),
            PlanOverride(match: "vision.patch", activations: .eight, observer: .minMax),
            PlanOverride(match: "text.*.probs", observer: .ema),
        ])
        try plan.validate(for: Self.configuration)
        let checkpoint = ShapedCLIP.odd.checkpoint
        let tensors = try QuantizedTensors(checkpoint, calibrate(plan, checkpoint), plan)
        let agreement = compareLayers(ShapedCLIP.odd, checkpoint, tensors) { tower, block, map in
            let layer =
                map == "patch"
                ? "patch" : map.hasPrefix("mlp.") ? "\(block).\(map.dropFirst(4))" : map.contains("out") ? "\(block).out" : "\(block).qkv"
            return plan.weights("\(tower.rawValue).\(layer)").rawValue
        }
        #expect(agreement.faults.isEmpty, "\(agreement.faults.count) faults: \(agreement.faults.prefix(5))")
        #expect(agreement.differing * 10_000 <= agreement.compared && agreement.compared > 60_000)

        let url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-\(UUID().uuidString).safetensors")
        defer { try? FileManager.default.removeItem(at: url) }
        try tensors.write(logitScale: FloatTensor(shape: []) { $0[0] = 1 }, to: url)
        let (read, _) = try QuantizedTensors.read(SafetensorsFile(url), Self.configuration, plan)
        #expect(read.points == tensors.points)
        let features = [tensors, read].map { tensors in
            encode(
                QuantizedImageEncoder(tensors, Self.configuration, normalization: SmallQuantizedCLIP.normalization), ShapedCLIP.odd.crops,
                count: ShapedCLIP.odd.images, threads: 2, batch: 3)
        }
        #expect(features[0] == features[1])
        #expect(throws: CLIPError.self) {
            _ = try QuantizedTensors.read(SafetensorsFile(url), Self.configuration, QuantizationPlan(bits: Self.bits, observer: .omse))
        }
    }
}
