/// What a distillation depends on besides its data.
package struct DistillationRecipe: Sendable, Equatable {
    package var steps = 600
    /// Pictures in a step.
    package var batch = 128
    /// Over which the rates rise; then they fall to 0 along a cosine.
    package var warmupSteps = 30
    /// Adam's largest rate, for the floats behind codes, the vectors and the logarithms of scales alike.
    package var peakRate = 1e-3
    /// The furthest that a picture is moved, in pixels.
    package var shift = 3
    /// Parts of a batch; see `StudentTower`.
    package var lanes = 8
    package var seed: UInt64 = 0

    package init() {}
}
