import Tuning

enum Verdicts {
    /// A rejection with these figures.
    static func verdict(test: Int, examples: Int) -> GateVerdict {
        let answers = HeldOutAnswers(
            logits: (0..<examples * 2).map { Float($0 % 2) }, labels: [Int](repeating: 0, count: examples), classes: 2)
        return Gate(GateRules()).decide(
            candidate: answers, uncorrected: answers, inService: answers, untuned: answers, names: ["a", "b"], test: test)
    }
}
