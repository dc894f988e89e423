import CLIP
import Tensors
import Testing

@Suite struct ClassSetTests {
    private func parse(_ text: String) throws -> ClassSet { try ClassSet(yaml: text, file: "set.yaml", defaultName: "set") }

    @Test func `YAML and JSON say the same`() throws {
        let yaml = try parse(
            """
            name: pets
            templates: ["a {}.", "the {}"]
            top_k: 2
            threshold: 0.25
            classes:
              - cat
              - name: dog
                synonyms: [puppy]
                threshold: 0.5
              - name: fish
                prompts: ["a {} in a bowl"]
            """)
        let json = try parse(
            """
            {"name": "pets", "templates": ["a {}.", "the {}"], "top_k": 2, "threshold": 0.25, "classes": ["cat",
             {"name": "dog", "synonyms": ["puppy"], "threshold": 0.5}, {"name": "fish", "prompts": ["a {} in a bowl"]}]}
            """)
        #expect(yaml == json && yaml.sha256 == json.sha256 && yaml.sha256.count == 64)
        #expect(yaml.classes[0].texts(templates: yaml.templates) == ["a cat.", "the cat"])
        #expect(yaml.classes[1].texts(templates: yaml.templates) == ["a dog.", "the dog", "a puppy.", "the puppy"])
        #expect(yaml.classes[2].texts(templates: yaml.templates) == ["a fish in a bowl"])
    }

    @Test(arguments: [
        ("classes: []", "no classes"), ("classes: [a, a]", "twice"), ("classes: [a]\ntemplates: [x]", "{}"), ("clases: [a]", "clases"),
        ("classes: [a]\ntop_k: 0", "top_k"), ("classes: [a]\nthreshold: 2", "threshold"), ("classes: [{name: a, colour: b}]", "colour"),
        ("classes: [\"\"]", "empty"), ("name: x", "classes"), ("[1, 2]", "set.yaml"), ("{{{{", "set.yaml"),
        ("- cat", "must be a mapping with the field classes"), ("", "must be a mapping"), ("name: x\nclasses: [cat, dog\n", "line 3"),
        ("classes:\n\t- cat", "line 2"), ("classes: [a]\nclasses: [b]", "twice: classes"), ("classes: [a]\nname: \u{1}", "line 2"),
        ("classes: 5", "classes must be a list"), ("classes: [[a]]", "classes[0] must be a name"),
        ("classes: [a]\ntop_k: many", "top_k must be a whole number"), ("classes: [{synonyms: [b]}]", "in classes[0]"),
    ])
    func `what is wrong with a set is said`(text: String, word: String) {
        let error = #expect(throws: CLIPError.self) { try parse(text) }
        #expect(error?.code == "class_set.invalid")
        #expect(error.map { "\($0)".contains(word) } == true, "\(error.map(String.init(describing:)) ?? "")")
    }

    @Test func `classes are ordered by cosine, equal ones by index, and thresholds make an answer unknown`() throws {
        let set = try ClassSet(
            name: "s", classes: [.init(name: "a"), .init(name: "b", threshold: 0.9), .init(name: "c"), .init(name: "d")], topK: 3)
        let features = FloatTensor(shape: [4, 2]) { values in
            for (index, value) in [Float(0.6), 0.8, 1, 0, 0.6, 0.8, 0, 1].enumerated() { values[index] = value }
        }
        let classifier = ZeroShotClassifier(classSet: set, textFeatures: features, scale: 1)
        let tie = [Float(3), 4].withUnsafeBufferPointer { classifier.classify($0) }
        #expect(tie.predictions.map(\.index) == [0, 2, 3] && !tie.isUnknown)
        #expect(abs(tie.predictions[0].cosine - 1) < 1e-6)
        let doubtful = [Float(2), 0].withUnsafeBufferPointer { classifier.classify($0, topK: 1) }
        #expect(doubtful.predictions.map(\.index) == [1] && doubtful.isUnknown)
        let all = [Float(2), 0].withUnsafeBufferPointer { classifier.classify($0, topK: 100) }
        #expect(all.predictions.count == 4)
        #expect(abs(all.predictions.reduce(Float(0)) { $0 + $1.probability } - 1) < 1e-6)
    }
}
