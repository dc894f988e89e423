package import Imaging

/// The two kinds of pictures that the program draws.
package enum DrawingDomain: String, CaseIterable, Sendable {
    /// Clean drawings: what the built-in model is trained on.
    case world
    /// The same scenes with noise, blur, uneven light, low contrast, pen lines and JPEG artefacts: the task that tuning is measured on.
    case field
}

/// Pictures that the program draws itself. Numbers come from counters, positions from additions, products and square roots, so every machine
/// draws the same bytes; those of the field domain also pass through libjpeg, whose integer transforms are the same everywhere.
package enum DrawnPicture {
    /// Width and height, in pixels.
    package static let side = WorldParameters.side

    /// 8-bit RGB, [side, side, 3].
    package static func pixels(_ scene: Scene, domain: DrawingDomain) throws(ImagingError) -> [UInt8] {
        switch domain {
        case .world: ScenePainter(scene).paint().bytes()
        case .field: try FieldPainter(scene).paint().bytes()
        }
    }
}
