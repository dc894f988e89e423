internal import Imaging

/// What the field domain does to pictures. Fixed before any tuning was tried on it; a change makes another domain.
enum FieldParameters {
    static let sketchProbability = 0.2
    static let blurProbability = 0.6
    /// Passes of a 3 x 3 mean.
    static let blurPasses = 1...2
    static let lightProbability = 0.7
    /// How much of the light the darkest side loses.
    static let lightLoss = 0.3...0.7
    static let contrastProbability = 0.7
    /// What is left of each level's distance from a middle gray.
    static let contrast = 0.4...0.8
    /// Deviation of the noise, in levels.
    static let noise = 4.0...20.0
    static let jpegQuality = 10...40
}

/// Paints a scene as it would come from a bad camera, or from somebody's notebook.
struct FieldPainter {
    private let scene: Scene
    private let side = WorldParameters.side

    init(_ scene: Scene) { self.scene = scene }

    func paint() throws(ImagingError) -> Canvas {
        var random = CounterRandom(seed: scene.seed, index: scene.index, purpose: .degradation)
        var canvas = ScenePainter(scene, isSketch: random.chance(FieldParameters.sketchProbability)).paint()
        if random.chance(FieldParameters.blurProbability) {
            let passes = FieldParameters.blurPasses.lowerBound + random.below(FieldParameters.blurPasses.count)
            for _ in 0..<passes { soften(&canvas) }
        }
        if random.chance(FieldParameters.lightProbability) { shade(&canvas, &random) }
        if random.chance(FieldParameters.contrastProbability) { flatten(&canvas, &random) }
        addNoise(&canvas, &random)
        let quality = FieldParameters.jpegQuality.lowerBound + random.below(FieldParameters.jpegQuality.count)
        let file = try ImageFile.encode(canvas.bytes(), width: side, height: side, as: .jpeg(quality: quality))
        let image = try file.withUnsafeBufferPointer { (bytes) throws(ImagingError) -> RGBImage in
            try ImageDecoder().decode(UnsafeRawBufferPointer(bytes))
        }
        image.withPixels { canvas.load($0) }
        return canvas
    }

    /// A mean over 3 x 3 pixels, rows and then columns.
    private func soften(_ canvas: inout Canvas) {
        for step in [1, side] {
            let old = canvas.pixels
            for y in 0..<side {
                for x in 0..<side {
                    let place = step == 1 ? x : y
                    let index = y * side + x
                    let (before, after) = (place == 0 ? old[index] : old[index - step], place == side - 1 ? old[index] : old[index + step])
                    let middle = old[index]
                    canvas.pixels[index] = Colour(
                        (before.red + middle.red + after.red) / 3, (before.green + middle.green + after.green) / 3,
                        (before.blue + middle.blue + after.blue) / 3)
                }
            }
        }
    }

    /// Light that falls off towards one side.
    private func shade(_ canvas: inout Canvas, _ random: inout CounterRandom) {
        let turn = random.uniform()
        let (ux, uy) = (Turn.cosine(turn), Turn.sine(turn))
        let loss = random.uniform(FieldParameters.lightLoss)
        for y in 0..<side {
            for x in 0..<side {
                let across = (ux * Double(x) + uy * Double(y)) / Double(side) - (ux + uy) / 2
                let light = Float(1 - loss * min(1, max(0, 0.5 + across)))
                let pixel = canvas.pixels[y * side + x]
                canvas.pixels[y * side + x] = Colour(pixel.red * light, pixel.green * light, pixel.blue * light)
            }
        }
    }

    private func flatten(_ canvas: inout Canvas, _ random: inout CounterRandom) {
        let kept = Float(random.uniform(FieldParameters.contrast))
        let gray = Float(random.uniform(80...175))
        for index in canvas.pixels.indices { canvas.pixels[index] = Colour(gray, gray, gray).mixed(canvas.pixels[index], kept) }
    }

    private func addNoise(_ canvas: inout Canvas, _ random: inout CounterRandom) {
        let deviation = random.uniform(FieldParameters.noise)
        for index in canvas.pixels.indices {
            let pixel = canvas.pixels[index]
            let light = random.normal() * 0.7
            canvas.pixels[index] = Colour(
                pixel.red + Float(deviation * (light + random.normal() * 0.7)),
                pixel.green + Float(deviation * (light + random.normal() * 0.7)),
                pixel.blue + Float(deviation * (light + random.normal() * 0.7)))
        }
    }
}
