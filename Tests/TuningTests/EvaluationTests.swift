import CLIP
import Testing
import Tuning

/// Figures worked out by hand.
struct EvaluationTests {
    /// Three classes; the right answer first, first, second, and twice not at all.
    private func sample() -> Evaluation {
        var evaluation = Evaluation(classes: 7)
        evaluation.add(label: 0, ranking: [0, 1, 2, 3, 4], confidence: 0.9)
        evaluation.add(label: 0, ranking: [0, 2, 1, 3, 4], confidence: 0.5)
        evaluation.add(label: 1, ranking: [0, 1, 2, 3, 4], confidence: 0.7)
        evaluation.add(label: 1, ranking: [2, 0, 3, 4, 5, 1], confidence: 0.7)
        evaluation.add(label: 6, ranking: [2, 0, 3, 4, 5], confidence: 0.2)
        return evaluation
    }

    @Test func `top-1 counts first places, top-5 the first five and no more`() {
        #expect(sample().images == 5)
        #expect(sample().top1 == 2.0 / 5)
        #expect(sample().top5 == 3.0 / 5)
    }

    @Test func `the confusion matrix has a row for each label`() {
        let confusion = sample().confusion
        #expect(confusion[0, 0] == 2 && confusion[1, 0] == 1 && confusion[1, 2] == 1 && confusion[6, 2] == 1 && confusion[0, 1] == 0)
        #expect(confusion.images(of: 0) == 2 && confusion.images(of: 1) == 2 && confusion.images(of: 3) == 0)
        #expect(confusion.accuracy(of: 0) == 1 && confusion.accuracy(of: 1) == 0 && confusion.accuracy(of: 3) == nil)
        #expect(confusion.answers(to: 1).map(\.answer) == [0, 2] && confusion.answers(to: 1).map(\.images) == [1, 1])
    }

    @Test func `the expected calibration error is the images' share of each bin's gap`() throws {
        // Bins of a fifteenth: 0.9 and 0.5 lie alone and are right; the two of 0.7 are both wrong, and so is 0.2.
        // |1 - 0.9| / 5 + |1 - 0.5| / 5 + 2 / 5 * |0 - 0.7| + |0 - 0.2| / 5 = 0.44
        let error = try #require(sample().reliability.expectedCalibrationError)
        #expect(abs(error - 0.44) < 1e-12)
        let bins = sample().reliability.bins
        #expect(bins.count == 15 && bins.map(\.images).reduce(0, +) == 5)
        // 0.7 * 15 = 10.5: the eleventh bin. 0.2 * 15 = 3 is the upper end of the third.
        #expect(bins[10].images == 2 && bins[10].accuracy == 0 && bins[2].images == 1)
        #expect(bins[0].accuracy == nil && bins[0].confidence == nil)
    }

    @Test(arguments: [(0.0, 0), (1.0 / 15, 0), (1.0, 14), (1.5, 14), (-1, 0), (Double.nan, 0), (0.999, 14), (1.0 / 15 + 1e-9, 1)])
    func `every confidence falls into one bin`(confidence: Double, bin: Int) {
        var evaluation = Evaluation(classes: 1)
        evaluation.add(label: 0, ranking: [0], confidence: confidence)
        #expect(evaluation.reliability.bins.firstIndex { $0.images == 1 } == bin)
    }

    @Test func `opposite errors in one bin cancel, in two they add up`() throws {
        var one = Evaluation(classes: 2)
        one.add(label: 0, ranking: [0, 1], confidence: 0.5)
        one.add(label: 0, ranking: [1, 0], confidence: 0.5)
        #expect(try #require(one.reliability.expectedCalibrationError) == 0)
        var two = Evaluation(classes: 2)
        two.add(label: 0, ranking: [0, 1], confidence: 0.5)
        two.add(label: 0, ranking: [1, 0], confidence: 0.75)
        #expect(try #require(two.reliability.expectedCalibrationError) == 0.625)
    }

    @Test func `without images there are no figures`() {
        let evaluation = Evaluation(classes: 3)
        #expect(evaluation.top1 == nil && evaluation.top5 == nil && evaluation.reliability.expectedCalibrationError == nil)
    }

    @Test func `labels are names, synonyms, other spellings of them, and indices`() throws {
        let set = try ClassSet(
            name: "s",
            classes: [
                .init(name: "cat", synonyms: ["tom", "pet"]), .init(name: "Maple Tree", synonyms: ["pet", "0"]), .init(name: "5"),
            ])
        let labels = ClassLabels(set)
        #expect(labels.index(of: "cat") == 0 && labels.index(of: "tom") == 0 && labels.index(of: "CAT") == 0)
        #expect(labels.index(of: "maple_tree") == 1 && labels.index(of: "Maple-Tree") == 1)
        #expect(labels.index(of: "pet") == nil, "two classes have this synonym")
        #expect(labels.index(of: "5") == 2, "a name comes before an index")
        #expect(labels.index(of: "0") == 1, "and so does a synonym")
        #expect(labels.index(of: "2") == 2 && labels.index(of: "3") == nil && labels.index(of: "-1") == nil)
        #expect(labels.index(of: "dog") == nil && labels.index(of: "") == nil)
    }
}
