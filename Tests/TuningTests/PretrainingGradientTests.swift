import CLIP
import Drawing
import Imaging
import Tensors
import Testing
import Tuning

@Suite struct PretrainingGradientTests {
    private static func configuration(_ activation: Activation) -> CLIPConfiguration {
        CLIPConfiguration(
            vision: TowerConfiguration(width: 12, depth: 2, heads: 3, mlpWidth: 20, activation: activation), imageSide: 9, patchSize: 4,
            text: TowerConfiguration(width: 8, depth: 2, heads: 2, mlpWidth: 14, activation: activation), vocabularySize: 11,
            contextLength: 7, projectionWidth: 10)
    }

    private struct Setup {
        let model: ContrastiveModel
        let reference: DoubleCLIP
        let batch: ContrastiveBatch
    }

    /// Parameters of such sizes that every part matters: norms and biases are moved off their first values too.
    private static func setup(_ activation: Activation, lanes: Int) throws -> Setup {
        let configuration = configuration(activation)
        let layout = ParameterLayout(configuration)
        var random = CounterRandom(seed: 11, index: 0, purpose: .training)
        var parameters = layout.initialParameters(configuration, seed: 3).map { $0 + Float(random.normal() * 0.15) }
        parameters[layout["logit_scale"]] = 1.2
        let normalization = try ImagePreprocessor(PreprocessorConfiguration(side: configuration.imageSide)).normalization
        let prompts: [[Int32]] = [[9, 1, 2, 10], [9, 3, 10], [9, 4, 1, 5, 6, 10], [9, 7, 10], [9, 3, 10]]
        // Three pictures, five captions; some are true of two.
        let matches = [[0, 3], [1, 4, 3], [2, 4]].flatMap { row in (0..<5).map { row.contains($0) } }
        let crops = (0..<3 * 9 * 9 * 3).map { _ in UInt8(truncatingIfNeeded: random.below(256)) }
        return Setup(
            model: ContrastiveModel(configuration, parameters: parameters, normalization: normalization, lanes: lanes),
            reference: DoubleCLIP(configuration: configuration, layout: layout, normalization: normalization),
            batch: ContrastiveBatch(crops: crops, prompts: prompts, matches: matches))
    }

    @Test(arguments: [Activation.quickGELU, .gelu])
    func `Every gradient of a whole small CLIP equals central differences in Double`(activation: Activation) throws {
        let setup = try Self.setup(activation, lanes: 2)
        let evaluation = setup.model.evaluate(setup.batch, pool: .serial)
        var parameters = setup.model.parameters.map(Double.init)
        #expect(abs(evaluation.loss - setup.reference.loss(parameters, setup.batch)) < 1e-5)
        for entry in setup.model.layout.entries {
            var differences: [Double] = []
            for index in entry.offset..<entry.offset + entry.count {
                let value = parameters[index]
                parameters[index] = value + 1e-5
                let above = setup.reference.loss(parameters, setup.batch)
                parameters[index] = value - 1e-5
                let below = setup.reference.loss(parameters, setup.batch)
                parameters[index] = value
                differences.append((above - below) / 2e-5)
            }
            let found = setup.model.gradients[entry.offset..<entry.offset + entry.count]
            let largest = max(differences.map { abs($0) }.max() ?? 0, 1e-4)
            let error = zip(found, differences).map { abs(Double($0) - $1) }.max() ?? 0
            #expect(error < 1e-3 * largest, "\(entry.name): \(error) of \(largest)")
        }
    }

    @Test func `Gradients have the same bits on any number of threads`() throws {
        let setup = try Self.setup(.quickGELU, lanes: 3)
        _ = setup.model.evaluate(setup.batch, pool: .serial)
        let first = setup.model.gradients
        for threads in [2, 3, 5] {
            _ = setup.model.evaluate(setup.batch, pool: ThreadPool(threads: threads))
            #expect(setup.model.gradients == first, "\(threads) threads")
        }
    }
}
