import Testing

import Drawing

@Suite struct SceneTests {
    @Test func `Combinations held out of training never occur in it, and nothing else occurs in the held-out stream`() {
        for index in 0..<20_000 as Range<UInt64> {
            let seen = Scene(seed: 7, index: index, split: .training)
            #expect(!Scene.isHeldOut(seen.kind, seen.colour, seen.texture), "scene \(index)")
            let held = Scene(seed: 7, index: index, split: .heldOut)
            #expect(Scene.isHeldOut(held.kind, held.colour, held.texture), "scene \(index)")
        }
    }

    @Test func `Every kind has combinations on both sides, about one in eight held out`() {
        var heldOut = 0
        for kind in Kind.allCases {
            let flags = ColourName.allCases.flatMap { colour in Texture.allCases.map { Scene.isHeldOut(kind, colour, $0) } }
            #expect(flags.contains(true) && flags.contains(false), "\(kind)")
            heldOut += flags.count { $0 }
        }
        let all = Kind.allCases.count * ColourName.allCases.count * Texture.allCases.count
        #expect((all / 10...all / 6).contains(heldOut), "\(heldOut) of \(all)")
    }

    @Test func `Each run of scenes shows every kind once`() {
        let kinds = UInt64(Kind.allCases.count)
        for run in 0..<5 as Range<UInt64> {
            let shown = (run * kinds..<(run + 1) * kinds).map { Scene(seed: 3, index: $0, split: .all).kind }
            #expect(Set(shown).count == Kind.allCases.count)
        }
    }

    @Test func `A simplified scene shows the same kind, in a combination of training`() {
        for index in 0..<500 as Range<UInt64> {
            let scene = Scene(seed: 8, index: index, split: .training)
            let simple = scene.simplified()
            #expect(simple.kind == scene.kind)
            #expect(!Scene.isHeldOut(simple.kind, simple.colour, simple.texture))
            #expect(simple.texture == .plain && simple.background == .white, "scene \(index)")
        }
    }

    @Test func `Backgrounds differ from their objects`() {
        for index in 0..<2_000 as Range<UInt64> {
            let scene = Scene(seed: 1, index: index, split: .all)
            #expect(scene.colour.base.distance(scene.background.base) > WorldParameters.leastContrast)
        }
    }

    @Test func `A caption is true of its own scene, and of another only if all it says is true there`() {
        var bare = 0
        for index in 0..<500 as Range<UInt64> {
            let scene = Scene(seed: 5, index: index, split: .training)
            let caption = Caption(scene)
            #expect(caption.isTrue(of: scene, insteadOf: scene))
            #expect(caption.text.contains(scene.kind.rawValue))
            #expect(caption.mentioned.contains(.colour) == false || caption.text.contains(scene.colour.rawValue))
            bare += caption.mentioned.isEmpty ? 1 : 0
            let other = Scene(seed: 5, index: index + 1, split: .training)
            if other.kind != scene.kind { #expect(!caption.isTrue(of: other, insteadOf: scene)) }
        }
        #expect((120...240).contains(bare), "\(bare) of 500 name the kind alone")
    }
}
