internal import CLIP
package import Tensors

/// How a gradient goes backward through a quantizer.
package enum StraightThrough: String, Sendable, CaseIterable, Codable {
    /// It passes where the rounded code lies inside the range, and is zero where it was clipped: the method's rule.
    case clipped
    /// It passes everywhere.
    case identity
    /// It is zero everywhere, as in the method's released program, through whose towers no prompt trains.
    case none
}

/// Forward and backward through a text tower, from context vectors to the classes' features, for one layout.
///
/// The result is the same bits for every number of threads; features of a quantized tower are those of `QuantizedTextEncoder` too. One pass at a
/// time.
package final class PromptPass {
    let tower: PromptTower
    let layout: PromptLayout
    let pool: ThreadPool
    let rule: StraightThrough
    /// Context vectors.
    package let contextLength: Int
    /// What forward keeps for backward.
    let kept = Workspace()
    let scratch = Workspace()
    /// Multiplications of a block's largest product below which threads would wait for each other longer than they work: a third of a
    /// millisecond.
    private static let sharedWork = 1 << 24
    /// Made at the first backward pass.
    private var weights: [[FloatTensor]] = []
    /// The rows' vectors with their positions, but for the context's: [rows, width].
    private let embedded: FloatTensor

    package init(
        tower: PromptTower, classes: [ClassTokens], contextLength: Int, position: ClassPosition = .end, rule: StraightThrough = .clipped,
        pool: ThreadPool, sharing: Bool = true
    ) {
        let layout = PromptLayout(contextLength: contextLength, position: position, classes: classes, sharing: sharing)
        precondition(layout.longest <= tower.configuration.contextLength, "a prompt of \(layout.longest) tokens is too long for the tower")
        self.tower = tower
        self.layout = layout
        let work = layout.rows.count * tower.width * tower.configuration.text.mlpWidth
        self.pool = work < Self.sharedWork ? .serial : pool
        self.rule = rule
        self.contextLength = contextLength
        let width = tower.width
        embedded = FloatTensor(shape: [layout.rows.count, width]) { target in
            target.update(repeating: 0)
            guard let base = target.baseAddress else { return }
            for (index, row) in layout.rows.enumerated() {
                guard case .token(let id) = row.source else { continue }
                tower.embed(id, position: row.position, to: base + index * width)
            }
        }
    }

    package var classes: Int { layout.own.count }
    package var featureWidth: Int { tower.configuration.projectionWidth }
    package var width: Int { tower.width }
    var rows: Int { layout.rows.count }
    var kernels: FloatKernels { tower.kernels }

    // MARK: Memory

    /// What forward keeps of a block.
    enum Kept: Int, CaseIterable {
        case hidden, query, key, value, shares, attended, middle, inner
    }

    func keep(_ block: Int, _ kind: Kept, _ count: Int) -> UnsafeMutablePointer<Float> {
        kept.buffer(block * Kept.allCases.count + kind.rawValue, of: Float.self, count: count)
    }

    func memory(_ slot: Slot, _ count: Int) -> UnsafeMutablePointer<Float> {
        scratch.buffer(slot.rawValue, of: Float.self, count: count)
    }

    enum Slot: Int {
        case normed = 0, pooledNormed, activated, codes, integers, queryCodes, keyCodes, valueCodes, head, zeros
        case gradient, inner, attended, query, key, value, input, roundQuery, roundKey, roundValue, shares, roundShares, pooled, heads
    }

    // MARK: Passes

    /// Features of all classes.
    ///
    /// - Parameters:
    ///   - context: [contextLength, width]
    ///   - features: [classes, featureWidth], receives them, not normalised.
    package func forward(context: UnsafePointer<Float>, features: UnsafeMutablePointer<Float>) {
        let hidden = keep(0, .hidden, rows * width)
        embed(context, hidden)
        for index in 0..<tower.depth { forward(block: index) }
        let count = classes * width
        let pooled = keep(tower.depth, .hidden, rows * width)
        let copy = memory(.pooled, count)
        copy.update(from: pooled, count: count)
        let epsilon = tower.configuration.text.layerNormEpsilon
        project(copy, rows: classes, norm: tower.finalNorm, tower.projection, epsilon: epsilon, kernels, features)
    }

    /// Adds the gradient by the context vectors, [contextLength, width], to `contextGradient`, from that by the features of the last forward
    /// pass.
    package func backward(featureGradient: UnsafePointer<Float>, contextGradient: UnsafeMutablePointer<Float>) {
        if weights.isEmpty {
            weights = (0..<tower.depth).map { index in LinearMap.allCases.map { tower.gradientWeight(index, $0) } }
        }
        let gradient = memory(.gradient, rows * width)
        projectionGradient(featureGradient, gradient)
        for index in (0..<tower.depth).reversed() { backward(block: index, gradient) }
        for (row, entry) in layout.rows.enumerated() {
            guard case .context(let vector) = entry.source else { continue }
            let target = contextGradient + vector * width
            kernels.addBias(target, stride: width, bias: gradient + row * width, rows: 1, width: width)
        }
    }

    func weight(_ block: Int, _ map: LinearMap) -> FloatTensor { weights[block][map.rawValue] }

    private func embed(_ context: UnsafePointer<Float>, _ hidden: UnsafeMutablePointer<Float>) {
        embedded.withUnsafeBufferPointer { embedded in
            tower.positions.withUnsafeBufferPointer { positions in
                guard let embedded = embedded.baseAddress, let positions = positions.baseAddress else { return }
                hidden.update(from: embedded, count: rows * width)
                for (index, row) in layout.rows.enumerated() {
                    guard case .context(let vector) = row.source else { continue }
                    let target = hidden + index * width
                    target.update(from: context + vector * width, count: width)
                    kernels.addBias(target, stride: width, bias: positions + row.position * width, rows: 1, width: width)
                }
            }
        }
    }

    /// The gradient by the last block's output [classes, width], from that by the features.
    private func projectionGradient(_ features: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>) {
        let normed = memory(.normed, classes * width)
        tower.projection.withUnsafeBufferPointer { projection in
            tower.finalNorm.gamma.withUnsafeBufferPointer { gamma in
                guard let projection = projection.baseAddress, let gamma = gamma.baseAddress else { return }
                BLAS.multiply(
                    m: classes, n: width, k: featureWidth, a: features, aStride: featureWidth, b: projection, bStride: width, c: normed,
                    cStride: width)
                gradient.update(repeating: 0, count: classes * width)
                kernels.addLayerNormGradient(
                    normed, stride: width, input: keep(tower.depth, .hidden, rows * width), inputStride: width, gamma: gamma,
                    epsilon: tower.configuration.text.layerNormEpsilon, rows: classes, width: width, to: gradient,
                    inputGradientStride: width)
            }
        }
    }

    func gather(_ source: UnsafePointer<Float>, _ rows: [Int], _ target: UnsafeMutablePointer<Float>) {
        for (index, row) in rows.enumerated() { (target + index * width).update(from: source + row * width, count: width) }
    }
}
