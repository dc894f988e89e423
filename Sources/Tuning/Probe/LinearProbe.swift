internal import Quantization
package import Tensors

/// A linear classifier on image features: multinomial logistic regression on standardised features, its regularisation chosen on held-out images.
package struct LinearProbe: Sendable {
    /// Weights of the squared norm that are tried.
    package static let regularizations: [Float] = [1e-5, 1e-4, 1e-3, 1e-2]
    /// The share of the images that chooses among them.
    package static let heldOut = 0.1

    /// Of the features, by element: [D].
    package let mean: [Float]
    package let deviation: [Float]
    /// [classes, D]
    package let weight: [Float]
    /// [classes]
    package let bias: [Float]
    /// The regularisation that was chosen.
    package let regularization: Float

    package var classes: Int { bias.count }

    /// Trains on `features` [count, D].
    ///
    /// - Throws: `tooFewImages` where none is left to train on.
    package init(
        features: [Float], labels: [Int], classes: Int, seed: UInt64 = 0, pool: ThreadPool, regularizations: [Float] = regularizations
    ) throws(TuningError) {
        let count = labels.count
        guard count >= 2, let first = regularizations.first else { throw .tooFewImages(found: count, needed: 2) }
        let width = features.count / count
        (mean, deviation) = Self.statistics(features, width: width)
        let rows = Self.standardized(features, mean, deviation)
        let order = PhiloxRandom(seed: seed).permutation(count)
        let held = Array(order.prefix(max(1, Int(Double(count) * Self.heldOut))))
        func fit(_ images: [Int], _ regularization: Float) -> ProbeObjective.Solution {
            ProbeObjective(
                rows: images.flatMap { rows[$0 * width..<($0 + 1) * width] }, labels: images.map { labels[$0] }, classes: classes,
                regularization: regularization, pool: pool
            ).solve()
        }
        var best = (regularization: first, right: -1)
        if regularizations.count > 1 {
            let rest = Array(order.dropFirst(held.count))
            for regularization in regularizations {
                let solution = fit(rest, regularization)
                let right = held.count { index in
                    let row = rows[index * width..<(index + 1) * width]
                    return Self.best(Self.scores(row, solution.weight, solution.bias)) == labels[index]
                }
                if right > best.right { best = (regularization, right) }
            }
        }
        let solution = fit(Array(0..<count), best.regularization)
        weight = solution.weight
        bias = solution.bias
        regularization = best.regularization
    }

    private init(_ other: LinearProbe, weight: [Float]) {
        mean = other.mean
        deviation = other.deviation
        self.weight = weight
        bias = other.bias
        regularization = other.regularization
    }

    /// The same with each class's weights rounded to `bits` by MinMax; standardisation and bias stay in float. Source: the method's section 7.
    package func quantized(_ bits: BitWidth) -> LinearProbe {
        let codes = weight.withUnsafeBufferPointer {
            WeightCodes($0, rows: classes, columns: $0.count / classes, bits: bits.rawValue)
        }
        return LinearProbe(self, weight: codes.codes.indices.map { Float(codes.codes[$0]) * codes.scales[$0 / codes.columns] })
    }

    /// Scores of all classes for one feature, [D].
    package func scores(_ feature: ArraySlice<Float>) -> [Float] {
        Self.scores(Self.standardized(Array(feature), mean, deviation)[...], weight, bias)
    }

    /// The index of the greatest score.
    package static func best(_ scores: [Float]) -> Int { scores.indices.max { scores[$0] < scores[$1] } ?? 0 }

    private static func scores(_ row: ArraySlice<Float>, _ weight: [Float], _ bias: [Float]) -> [Float] {
        bias.indices.map { index in
            zip(row, weight[index * row.count..<(index + 1) * row.count]).reduce(bias[index]) { $0 + $1.0 * $1.1 }
        }
    }

    private static func statistics(_ features: [Float], width: Int) -> (mean: [Float], deviation: [Float]) {
        let count = features.count / max(width, 1)
        var (sums, squares) = ([Double](repeating: 0, count: width), [Double](repeating: 0, count: width))
        for index in features.indices { sums[index % width] += Double(features[index]) }
        let means = sums.map { $0 / Double(count) }
        for index in features.indices {
            let d = Double(features[index]) - means[index % width]
            squares[index % width] += d * d
        }
        return (means.map(Float.init), squares.map { Float(($0 / Double(max(count - 1, 1))).squareRoot() + 1e-6) })
    }

    private static func standardized(_ features: [Float], _ mean: [Float], _ deviation: [Float]) -> [Float] {
        features.indices.map { (features[$0] - mean[$0 % mean.count]) / deviation[$0 % mean.count] }
    }
}

/// Mean cross entropy plus the weighted squared norm of the weights.
struct ProbeObjective {
    struct Solution {
        let weight: [Float]
        let bias: [Float]
    }

    /// [count, D]
    let rows: [Float]
    let labels: [Int]
    let classes: Int
    let regularization: Float
    let pool: ThreadPool
    /// Images that are computed together, whatever the number of threads: so sums don't depend on that.
    private static let block = 1024

    func solve(_ solver: LBFGS = LBFGS()) -> Solution {
        let width = rows.count / max(labels.count, 1)
        let x = solver.minimize(from: [Float](repeating: 0, count: classes * (width + 1)), evaluate)
        return Solution(weight: Array(x[..<(classes * width)]), bias: Array(x[(classes * width)...]))
    }

    /// Value and gradient at the weights [classes, D] and, behind them, the biases [classes].
    func evaluate(_ x: [Float]) -> (value: Double, gradient: [Float]) {
        let count = labels.count
        let blocks = (count + Self.block - 1) / Self.block
        var losses = [Double](repeating: 0, count: blocks)
        var gradients = [Float](repeating: 0, count: blocks * x.count)
        losses.withUnsafeMutableBufferPointer { losses in
            gradients.withUnsafeMutableBufferPointer { gradients in
                guard let gradients = gradients.baseAddress else { return }
                nonisolated(unsafe) let losses = losses
                pool.forEach(blocks) { block in
                    let range = block * Self.block..<min(count, (block + 1) * Self.block)
                    losses[block] = evaluate(x, range, gradients + block * x.count)
                }
            }
        }
        var gradient = Array(gradients[..<x.count])
        for block in 1..<max(blocks, 1) { for index in gradient.indices { gradient[index] += gradients[block * x.count + index] } }
        let weights = x.count - classes
        var norm = 0.0
        for index in 0..<weights {
            gradient[index] += 2 * regularization * x[index]
            norm += Double(x[index]) * Double(x[index])
        }
        return (losses.reduce(0, +) + Double(regularization) * norm, gradient)
    }

    /// One block's share of the mean loss and, into `gradient`, of its gradient.
    private func evaluate(_ x: [Float], _ range: Range<Int>, _ gradient: UnsafeMutablePointer<Float>) -> Double {
        let (width, size) = (rows.count / labels.count, range.count)
        let kernels = FloatKernels()
        let share = Float(size) / Float(labels.count)
        var logits = [Float](repeating: 0, count: size * classes)
        var byLogits = logits
        var targets = logits
        for (row, image) in range.enumerated() { targets[row * classes + labels[image]] = 1 }
        return rows.withUnsafeBufferPointer { rows in
            x.withUnsafeBufferPointer { x in
                guard let rows = rows.baseAddress, let x = x.baseAddress else { return 0 }
                let (input, bias) = (rows + range.lowerBound * width, x + classes * width)
                BLAS.multiply(
                    m: size, n: classes, k: width, a: input, aStride: width, transposedB: x, bStride: width, c: &logits, cStride: classes)
                kernels.addBias(&logits, stride: classes, bias: bias, rows: size, width: classes)
                let loss = kernels.crossEntropy(
                    logits: logits, targets: targets, rows: size, classes: classes, weight: share, addingGradientTo: &byLogits)
                BLAS.multiply(
                    m: classes, n: width, k: size, transposedA: byLogits, aStride: classes, b: input, bStride: width, c: gradient,
                    cStride: width)
                kernels.addColumnSums(byLogits, stride: classes, rows: size, width: classes, to: gradient + classes * width)
                return loss * Double(share)
            }
        }
    }
}
