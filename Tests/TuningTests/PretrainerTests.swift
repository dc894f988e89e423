import CLIP
import Drawing
import Foundation
import Imaging
import Tensors
import Testing
import Tuning

@Suite struct PretrainerTests {
    private static var tiny: PretrainingRecipe {
        var recipe = PretrainingRecipe.builtIn
        recipe.vision = TowerConfiguration(width: 32, depth: 2, heads: 2, mlpWidth: 64, activation: .quickGELU)
        recipe.text = TowerConfiguration(width: 32, depth: 1, heads: 1, mlpWidth: 64, activation: .quickGELU)
        (recipe.imageSide, recipe.patchSize, recipe.projectionWidth) = (24, 8, 32)
        (recipe.batch, recipe.steps, recipe.lanes) = (32, 40, 2)
        recipe.optimizer.warmupSteps = 5
        recipe.optimizer.peakRate = 2e-3
        return recipe
    }

    private func inFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-pretrain-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    @Test func `The loss falls, and a resumed training ends in the same bits`() throws {
        try inFolder { folder in
            let pool = ThreadPool(threads: 2)
            let whole = try Pretrainer(Self.tiny)
            var losses: [Double] = []
            while whole.step < 40 { losses.append(try whole.advance(pool: pool).loss) }
            let (start, end) = (losses.prefix(5).reduce(0, +), losses.suffix(5).reduce(0, +))
            #expect(end < start * 0.97)

            let first = try Pretrainer(Self.tiny)
            while first.step < 15 { _ = try first.advance(pool: .serial) }
            let file = folder.appendingPathComponent("checkpoint.safetensors")
            try first.save(to: file)
            let second = try Pretrainer(Self.tiny)
            try second.resume(from: file)
            #expect(second.step == 15)
            while second.step < 40 { _ = try second.advance(pool: pool) }
            #expect(second.model.parameters == whole.model.parameters)
        }
    }

    @Test func `A checkpoint of another recipe is refused, with what to do`() throws {
        try inFolder { folder in
            let file = folder.appendingPathComponent("checkpoint.safetensors")
            try Pretrainer(Self.tiny).save(to: file)
            var other = Self.tiny
            other.seed += 1
            let error = #expect(throws: PretrainingError.self) { try Pretrainer(other).resume(from: file) }
            #expect(error?.code == "pretraining.checkpoint")
            #expect("\(try #require(error))".contains("--restart"))
        }
    }

    @Test func `What is exported loads like any CLIP and computes what the trainer computes`() throws {
        try inFolder { folder in
            let pretrainer = try Pretrainer(Self.tiny)
            while pretrainer.step < 3 { _ = try pretrainer.advance(pool: .serial) }
            try pretrainer.export(to: folder)
            let model = try CLIPModel.load(folder)
            let checkpoint = try Checkpoint.load(folder)
            #expect(checkpoint.configuration == pretrainer.model.configuration)
            for entry in pretrainer.model.layout.entries {
                let stored = checkpoint[entry.name].withUnsafeBufferPointer(Array.init)
                let trained = pretrainer.model.parameters[entry.offset..<entry.offset + entry.count]
                let rounded = trained.map { Float(Float16($0)) }
                #expect(stored == rounded, "\(entry.name)")
            }
            let loaded = try Tokenizer.load(folder)
            for text in ["a photo of a fish.", "an umbrella on a teal background, leaning left", "Grüße, 42 ☂ <|endoftext|>"] {
                #expect(loaded.encode(text) == pretrainer.tokenizer.encode(text))
            }
            #expect(model.text != nil && model.imageEncoder.imageSide == 24)
        }
    }

    @Test func `The vocabulary makes one token of every kind's name`() throws {
        let pretrainer = try Pretrainer(Self.tiny)
        for kind in Kind.allCases { #expect(pretrainer.tokenizer.encode(kind.rawValue).count == 3, "\(kind)") }
        #expect(pretrainer.vocabulary.tokens.count <= Self.tiny.vocabularyLimit)
        let last = Int32(pretrainer.vocabulary.tokens.count - 1)
        #expect(pretrainer.tokenizer.endToken == last)
    }

    @Test func `The rate rises to its peak and falls to nothing`() {
        let optimizer = PretrainingOptimizer(Self.tiny.optimizer, steps: 40, count: 1)
        let rates = [0, 4, 39].map { optimizer.rate($0) }
        #expect(rates[0] < rates[1])
        #expect(rates[1] == 2e-3)
        #expect(rates[2] < 2e-5)
    }
}
