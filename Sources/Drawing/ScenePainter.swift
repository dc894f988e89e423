/// Paints a scene as the plain world shows it.
struct ScenePainter {
    private let scene: Scene
    private let side: Int
    /// Whether the object is drawn with a pen instead of being filled.
    private let isSketch: Bool

    init(_ scene: Scene, isSketch: Bool = false) {
        self.scene = scene
        self.isSketch = isSketch
        side = WorldParameters.side
    }

    func paint() -> Canvas {
        var canvas = BackgroundPainter(scene).paint()
        if scene.isCluttered { paintClutter(&canvas) }
        paintObject(&canvas)
        return canvas
    }

    private func paintObject(_ canvas: inout Canvas) {
        var random = CounterRandom(seed: scene.seed, index: scene.index, purpose: .shape)
        let extent = random.uniform(scene.size.scale) * Double(side)
        let slack = max(0, Double(side) - extent) / 2 * WorldParameters.offset
        let centre = Point(
            x: Double(side) / 2 + random.uniform(-slack...slack), y: Double(side) / 2 + random.uniform(-slack...slack))
        let mirror = random.chance(0.5) ? -1.0 : 1.0
        let place = Transform.placing(
            turn: random.uniform(scene.lean.turn), scale: mirror * extent / 100 * random.uniform(WorldParameters.stretch),
            extent / 100 * random.uniform(WorldParameters.stretch), shear: random.uniform(WorldParameters.shear), at: centre)
        let base = scene.colour.base.varied(&random, by: WorldParameters.shade)
        let detail = base.brightness > 110 ? base.mixed(Colour(14, 14, 20), 0.62) : base.mixed(Colour(250, 250, 248), 0.62)
        let fill = TextureFill(scene.texture, base: base, extent: extent, &random)
        let toBox = Transform(tx: -50, ty: -50)
        for part in scene.kind.parts {
            let mask = CoverageMask(part.outline.mapped(toBox).mapped(place), side: side)
            let pen = mask.rim(reach: 1)
            if isSketch {
                canvas.paint(mask, opacity: 0.25) { x, y in fill.colour(Double(x) - centre.x, Double(y) - centre.y) }
                canvas.paint(pen) { _, _ in base }
            } else if part.role == .body {
                canvas.paint(mask) { x, y in fill.colour(Double(x) - centre.x, Double(y) - centre.y) }
                canvas.paint(pen, opacity: 0.45) { _, _ in detail }
            } else {
                canvas.paint(mask) { _, _ in detail }
            }
        }
        if scene.isCovered { paintCover(&canvas, centre, extent, &random) }
    }

    /// A bar or a disc over the object's rim.
    private func paintCover(_ canvas: inout Canvas, _ centre: Point, _ extent: Double, _ random: inout CounterRandom) {
        let colour = scene.background.base.varied(&random, by: 40).mixed(Colour(120, 120, 120), 0.25)
        let (turn, far) = (random.uniform(), extent * random.uniform(0.30...0.42))
        let spot = centre + Point(x: Turn.cosine(turn), y: Turn.sine(turn)) * far
        var outline = Outline()
        if random.chance(0.5) {
            let along = Point(x: -Turn.sine(turn), y: Turn.cosine(turn)) * Double(side)
            for contour in Outline.stroke([spot - along, spot + along], width: extent * 0.12) { outline.add(contour) }
        } else {
            let radius = extent * random.uniform(0.12...0.17)
            outline.add(Outline.ellipse(spot, radius, radius))
        }
        canvas.paint(CoverageMask(outline, side: side)) { _, _ in colour }
    }

    private func paintClutter(_ canvas: inout Canvas) {
        var random = CounterRandom(seed: scene.seed, index: scene.index, purpose: .clutter)
        for _ in 0..<(4 + random.below(6)) {
            let spot = Point(x: random.uniform(0...Double(side)), y: random.uniform(0...Double(side)))
            let radius = Double(side) * random.uniform(0.025...0.07)
            let colour = random.pick(ColourName.allCases).base.varied(&random, by: 30).mixed(scene.background.base, 0.3)
            let place = Transform.placing(turn: random.uniform(), scale: radius, radius, shear: 0, at: spot)
            let outline = random.pick(Self.bits).mapped(place)
            canvas.paint(CoverageMask(outline, side: side)) { _, _ in colour }
        }
    }

    /// Small things without a name, in a box from -1 to 1.
    private static let bits: [Outline] = [
        Outline("E 0 0 1 1"), Outline("P -1 -0.8 1 -0.8 0 1"), Outline("R -1 -0.35 2 0.7"), Outline("S 0.4 -1 -0.6 0 0.6 1 -0.6"),
        Outline("R -0.8 -0.8 1.6 1.6"),
    ]
}

/// Paints what lies behind the object.
struct BackgroundPainter {
    private let scene: Scene
    private let side = WorldParameters.side

    init(_ scene: Scene) { self.scene = scene }

    func paint() -> Canvas {
        var random = CounterRandom(seed: scene.seed, index: scene.index, purpose: .background)
        let base = scene.background.base.varied(&random, by: WorldParameters.shade)
        let towards = random.chance(0.5) ? Colour(255, 255, 255) : Colour(0, 0, 0)
        let other = base.mixed(towards, Float(random.uniform(0.14...0.24)))
        var canvas = Canvas(side: side, base)
        let turn = random.uniform()
        let (ux, uy) = (Turn.cosine(turn), Turn.sine(turn))
        switch scene.backgroundStyle {
        case .plain: break
        case .gradient:
            fill(&canvas) { x, y in base.mixed(other, Float(1 + (ux * x + uy * y) / Double(side))) }
        case .cloudy:
            let clouds = (0..<7).map { _ in
                (
                    x: random.uniform(-0.6...0.6) * Double(side), y: random.uniform(-0.6...0.6) * Double(side),
                    r: random.uniform(0.15...0.4) * Double(side)
                )
            }
            fill(&canvas) { x, y in
                var amount = 0.0
                for cloud in clouds {
                    let (dx, dy) = (x - cloud.x, y - cloud.y)
                    amount += max(0, 1 - (dx * dx + dy * dy) / (cloud.r * cloud.r))
                }
                return base.mixed(other, Float(min(1, amount)))
            }
        case .tiled:
            let period = random.uniform(9...15)
            fill(&canvas) { x, y in
                let cell = ((x + 960) / period).rounded(.down) + ((y + 960) / period).rounded(.down)
                return base.mixed(other, Int(cell) & 1 == 0 ? 0 : 0.6)
            }
        case .banded:
            let period = random.uniform(12...20)
            fill(&canvas) { x, y in
                let u = (ux * x + uy * y) / period
                return base.mixed(other, Float(min(1, max(0, (0.25 - abs(u - u.rounded(.down) - 0.5)) * period + 0.5))) * 0.6)
            }
        }
        return canvas
    }

    /// `colour` of the distances from the middle, in pixels.
    private func fill(_ canvas: inout Canvas, _ colour: (Double, Double) -> Colour) {
        for y in 0..<side {
            for x in 0..<side {
                canvas.pixels[y * side + x] = colour(Double(x) + 0.5 - Double(side) / 2, Double(y) + 0.5 - Double(side) / 2)
            }
        }
    }
}
