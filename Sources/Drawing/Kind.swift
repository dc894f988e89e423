/// What a picture shows. The order is the order of the class set.
package enum Kind: String, CaseIterable, Sendable {
    // Shapes and symbols.
    case circle, square, triangle, hexagon, star, heart, cross, arrow, ring, moon, diamond, cloud, drop, bolt, spiral, sun
    // Things.
    case anchor, note, key, lock, gear, bell, crown, flag, cup, bottle, umbrella, lamp, chair, clock, envelope, hat, shirt, glasses, ladder
    case balloon, hammer, candle, pencil
    // Buildings and vehicles.
    case house, boat, car, rocket, plane
    // Plants and animals.
    case tree, flower, leaf, mushroom, apple, fish, bird, cat, butterfly, snake, turtle
}

/// A part of a drawing, in the order in which they are painted.
package struct Part: Sendable {
    package enum Role: Sendable {
        /// In the object's colour and texture.
        case body
        /// In a darker or lighter shade of it, plain.
        case detail
    }

    package let role: Role
    package let outline: Outline
}

extension Kind {
    /// The kind's drawing in a box of 100 x 100.
    package var parts: [Part] { Self.drawings[self] ?? [] }

    private static let drawings: [Kind: [Part]] = Dictionary(
        uniqueKeysWithValues: allCases.map { kind in
            let (body, detail) = kind.text
            let all: [(Part.Role, String)] = [(.body, body), (.detail, detail)]
            return (kind, all.filter { !$0.1.isEmpty }.map { Part(role: $0.0, outline: Outline($0.1)) })
        })

    private var text: (body: String, detail: String) {
        symbolText ?? thingText ?? livingText
    }
}
