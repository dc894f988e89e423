package import Messages

/// What a fleet's workers say of a class set's newest shadow, whatever it was tried beside.
package enum ShadowSum {
    package static func all(_ scoring: [ScoringCounts]) -> [String: ScoringCounts.Shadow] {
        var found: [String: ScoringCounts.Shadow] = [:]
        for counts in scoring {
            guard let shadow = counts.shadow else { continue }
            let name = counts.classSet.name
            if let known = found[name], known.version > shadow.version { continue }
            let known = found[name].flatMap { $0.version == shadow.version ? $0 : nil }
            found[name] = ScoringCounts.Shadow(
                version: shadow.version, scored: shadow.scored &+ (known?.scored ?? 0), agreed: shadow.agreed &+ (known?.agreed ?? 0))
        }
        return found
    }
}
