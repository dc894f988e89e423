import CLIP
import Foundation
import Quantization
import Tensors
import Testing
import Tuning

@Suite struct DistillerTests {
    private static var recipe: DistillationRecipe {
        var recipe = DistillationRecipe()
        (recipe.steps, recipe.batch, recipe.warmupSteps, recipe.lanes) = (60, 16, 5, 3)
        return recipe
    }

    private static func run(_ small: SmallStudent, _ recipe: DistillationRecipe, threads: Int) throws -> (
        losses: [Double], QuantizedTensors
    ) {
        let distiller = small.distiller(recipe, pool: ThreadPool(threads: threads))
        var losses: [Double] = []
        while distiller.step < recipe.steps { losses.append(distiller.advance()) }
        return (losses, try distiller.result())
    }

    private static func codes(_ tensors: QuantizedTensors) -> [String: [Int8]] { tensors.packed.mapValues { $0.codes() } }

    @Test func `The loss falls, and the integer kernels' features come nearer to the float tower's`() throws {
        let small = try SmallStudent(#require(BitPlan("2-2-8")))
        let (losses, tensors) = try Self.run(small, Self.recipe, threads: 2)
        let (start, end) = (losses.prefix(10).reduce(0, +), losses.suffix(10).reduce(0, +))
        #expect(end < start * 0.8)
        let crops = Array(small.crops.joined())
        var wanted = [Float](repeating: 0, count: 240)
        crops.withUnsafeBufferPointer { crops in
            wanted.withUnsafeMutableBufferPointer { small.float.encode(crops: crops, count: 24, features: $0, pool: .serial) }
        }
        func distance(_ tensors: QuantizedTensors) -> Double {
            DistillationLoss(width: 10).evaluate(student: small.integers(tensors, crops), teacher: wanted).loss
        }
        let (before, after) = (distance(small.tensors), distance(tensors))
        #expect(after < before * 0.8)
    }

    @Test func `A seed gives one model on any number of threads, another seed another`() throws {
        let small = try SmallStudent(#require(BitPlan("3-3-8")))
        var recipe = Self.recipe
        recipe.steps = 6
        let (one, three) = (try Self.run(small, recipe, threads: 1).1, try Self.run(small, recipe, threads: 3).1)
        #expect(Self.codes(one) == Self.codes(three) && one.points == three.points)
        recipe.seed = 1
        let other = try Self.run(small, recipe, threads: 1).1
        #expect(other.points != one.points)
    }

    @Test func `The gradient of the loss equals central differences in Double`() {
        let width = 7
        let (student, teacher) = (numbers(3 * width, seed: 2), numbers(3 * width, seed: 3))
        let found = DistillationLoss(width: width).evaluate(student: student, teacher: teacher)
        var x = student.map(Double.init)
        func loss() -> Double { Self.loss(x, teacher.map(Double.init), width: width) }
        #expect(abs(loss() - found.loss) < 1e-6)
        let expected = x.indices.map { index in
            let value = x[index]
            x[index] = value + 1e-5
            let above = loss()
            x[index] = value - 1e-5
            let below = loss()
            x[index] = value
            return (above - below) / 2e-5
        }
        #expect(relativeDifference(found.gradient, expected) < 1e-5)
    }

    private static func loss(_ x: [Double], _ teacher: [Double], width: Int) -> Double {
        let rows = stride(from: 0, to: x.count, by: width).map { (x[$0..<$0 + width], teacher[$0..<$0 + width]) }
        return rows.reduce(0) { sum, row in
            sum + 1 - product(row.0, row.1) / (product(row.0, row.0) * product(row.1, row.1)).squareRoot()
        } / Double(rows.count)
    }

    @Test func `An epoch shows every picture once, mirrored or not and hardly moved`() throws {
        let augmentation = CropAugmentation(side: 4, shift: 1, seed: 3)
        let crops = (0..<10).flatMap { [UInt8](repeating: UInt8(20 * $0), count: 4 * 4 * 3) }
        let seen = (0..<5).flatMap { augmentation.batch($0, size: 2, of: crops, count: 10) }
        let numbers = stride(from: 0, to: seen.count, by: 48).map { Int(seen[$0]) / 20 }
        #expect(numbers.sorted() == Array(0..<10))
        #expect(augmentation.batch(2, size: 2, of: crops, count: 10) == Array(seen[192..<288]))
    }
}
