/// When a release that is tried in shadow takes the place of the live one, and when it is dropped.
package struct ShadowRules: Sendable, Equatable {
    /// What is known of a shadow beside the live release.
    package struct Evidence: Sendable, Equatable {
        /// Images that workers have scored with both, over the whole fleet, and for how many both gave the same answer.
        package var scored: Int
        package var agreed: Int
        /// Labels that came since it was learned, and on how many of them the shadow alone, and the live release alone, is right.
        package var labels: Int
        package var gained: Int
        package var lost: Int

        package init(scored: Int, agreed: Int, labels: Int = 0, gained: Int = 0, lost: Int = 0) {
            self.scored = scored
            self.agreed = agreed
            self.labels = labels
            self.gained = gained
            self.lost = lost
        }
    }

    /// What is to be done; the texts are for people.
    package enum Decision: Sendable, Equatable {
        case wait
        case promote(String)
        case drop(String)
    }

    /// Images that must have been scored with both.
    package var images = 1000
    /// A shadow that gives the live one's answer for a smaller share is dropped: a tuning changes some answers, not most.
    package var agreement = 0.5
    /// New labels that must be there to say that it is worse, and to be waited for where labels come at all.
    package var labels = 50
    /// How often a shadow that is no worse may be dropped for its labels, at most.
    package var level = 0.05

    package init() {}

    package func decide(_ evidence: Evidence) -> Decision {
        let worse = ExactTest.mcNemar(gained: evidence.lost, lost: evidence.gained)
        if evidence.labels >= labels, worse < level {
            return .drop("of \(evidence.labels) new labels it alone has \(evidence.gained) right, the live one alone \(evidence.lost)")
        }
        guard evidence.scored >= images else { return .wait }
        let share = Double(evidence.agreed) / Double(max(evidence.scored, 1))
        let scored = "it gave the live one's answer for \(evidence.agreed) of \(evidence.scored) images"
        if share < agreement { return .drop(scored) }
        if evidence.labels > 0, evidence.labels < labels { return .wait }
        return .promote(scored + (evidence.labels > 0 ? ", and alone has \(evidence.gained) new labels right, \(evidence.lost) wrong" : ""))
    }
}
