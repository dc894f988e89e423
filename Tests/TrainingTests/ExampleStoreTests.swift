import Foundation
import Testing
import Training

/// A store in a folder that goes with it.
final class StoreFolder: Sendable {
    let url: URL

    init() { url = FileManager.default.temporaryDirectory.appendingPathComponent("p4q-store-\(UUID().uuidString)") }

    deinit { try? FileManager.default.removeItem(at: url) }

    func open(_ change: (inout ExampleStore.Options) -> Void = { _ in }, identity: String = "model") throws -> ExampleStore {
        var options = ExampleStore.Options()
        change(&options)
        return try ExampleStore(folder: url, identity: identity, options: options)
    }
}

func example(_ id: String, _ label: String, at labelled: Int64 = 1, image: [UInt8]? = nil) -> LabelledExample {
    LabelledExample(
        classSet: "s", id: id, label: label, labelled: labelled, digest: Array(id.utf8), features: [1, 2, 3, -4.5],
        teacher: [0.25, .leastNonzeroMagnitude], image: image)
}

@Suite struct ExampleStoreTests {
    @Test func `what is learned is there after a restart, and the same job again changes nothing`() throws {
        let folder = StoreFolder()
        var store: ExampleStore? = try folder.open()
        #expect(try store?.learn([example("1", "cat"), example("2", "dog")]) == [.kept, .kept])
        #expect(throws: TrainingError.locked(path: folder.url.path)) { try folder.open() }
        store = nil
        #expect(throws: TrainingError.otherModel(path: folder.url.path)) { try folder.open(identity: "other") }
        let again = try folder.open()
        #expect(try again.learn([example("1", "cat")]) == [.unchanged])
        #expect(try again.example(classSet: "s", id: "1") == example("1", "cat"))
        #expect(try again.changes(classSet: "s") == 2)
        #expect(try again.arrivals(classSet: "s").map(\.count).reduce(0, +) == 2)
    }

    @Test func `a checkpoint that a killed process has not finished goes when the store is opened`() throws {
        let folder = StoreFolder()
        var store: ExampleStore? = try folder.open()
        let (finished, unfinished) = (try #require(store).checkpoint(3), folder.url.appendingPathComponent(".run-3.safetensors.77.tmp"))
        for file in [finished, unfinished] { try Data([1]).write(to: file) }
        store = nil
        store = try folder.open()
        #expect(FileManager.default.fileExists(atPath: finished.path) && !FileManager.default.fileExists(atPath: unfinished.path))
        withExtendedLifetime(store) {}
    }

    @Test func `of two labels the one that was given later counts, in whichever order they come`() throws {
        let store = try StoreFolder().open()
        #expect(try store.learn([example("1", "cat", at: 10), example("1", "dog", at: 20)]) == [.kept, .corrected])
        #expect(try store.learn([example("1", "cat", at: 10)]) == [.unchanged])
        #expect(try store.example(classSet: "s", id: "1")?.label == "dog")
    }

    @Test func `what is kept of a class is bounded, and does not depend on the order`() throws {
        let ids = (0..<300).map { "e\($0)" }
        func kept(_ ids: [String]) throws -> Set<String> {
            let store = try StoreFolder().open {
                $0.perClass = 40
                $0.heldOutPerClass = 10
            }
            for id in ids { _ = try store.learn([example(id, "cat")]) }
            let counts = try store.labelCounts()
            #expect(counts.map(\.training) == [40] && counts.map(\.heldOut) == [10])
            // One that was left out stays out.
            for id in ids { #expect(try store.learn([example(id, "cat")]) != [.kept]) }
            return Set(try ids.filter { try store.example(classSet: "s", id: $0) != nil })
        }
        #expect(try kept(ids) == kept(ids.reversed()))
    }

    @Test func `about the share of names is held out, and none ever moves`() throws {
        let store = try StoreFolder().open()
        _ = try store.learn((0..<1000).map { example("\($0)", $0 % 2 == 0 ? "cat" : "dog") })
        let heldOut = try store.labelCounts().map(\.heldOut).reduce(0, +)
        #expect((350...450).contains(heldOut), "\(heldOut)")
        let run = try store.beginRun(classSet: "s", sha256: "", labels: ["cat", "dog"], seed: 0)
        let before = Set(try #require(try store.examples(run: run.id, heldOut: true)).map(\.id))
        _ = try store.learn((0..<1000).map { example("\($0)", "cat", at: 2) })
        let later = try store.beginRun(classSet: "s", sha256: "", labels: ["cat", "dog"], seed: 0)
        #expect(Set(try #require(try store.examples(run: later.id, heldOut: true)).map(\.id)) == before)
        // The first run's list has the labels of its own time.
        #expect(try #require(try store.examples(run: run.id, heldOut: true)).contains { $0.label == "dog" })
    }

    @Test func `a picture that is held out is not learned from under another name`() throws {
        let store = try StoreFolder().open()
        let twins = (0..<200).map { index in
            var one = example("\(index)", "cat")
            one.digest = [UInt8(index % 100)]
            return one
        }
        _ = try store.learn(twins)
        let run = try store.beginRun(classSet: "s", sha256: "", labels: ["cat"], seed: 0)
        let training = Set(try #require(try store.examples(run: run.id, heldOut: false)).map(\.digest))
        let heldOut = Set(try #require(try store.examples(run: run.id, heldOut: true)).map(\.digest))
        #expect(!training.isEmpty && !heldOut.isEmpty && training.isDisjoint(with: heldOut))
    }

    @Test func `what is forgotten is in no file any more, and does not come back`() throws {
        let folder = StoreFolder()
        let store = try folder.open { $0.keepsImages = true }
        let secret = Array("SECRET-IMAGE-BYTES-".utf8)
        let image = Array((0..<2000).flatMap { _ in secret })
        _ = try store.learn([example("secret-name-1", "cat", image: image), example("other", "cat", image: [1])])
        func traces() throws -> Int {
            try FileManager.default.contentsOfDirectory(at: folder.url, includingPropertiesForKeys: nil).count { file in
                let data = try Data(contentsOf: file)
                return data.range(of: Data(secret)) != nil || data.range(of: Data("secret-name-1".utf8)) != nil
            }
        }
        #expect(try traces() > 0)
        let run = try store.beginRun(classSet: "s", sha256: "", labels: ["cat"], seed: 0)
        #expect(try store.forget(classSet: "s", ids: ["secret-name-1"]) == 1)
        #expect(try traces() == 0)
        #expect(try store.run(run.id)?.state == .givenUp)
        // A trainer that has been at it meanwhile.
        #expect(try !store.keepCandidate(run.id, secret) && store.candidate(run.id) == nil && traces() == 0)
        #expect(try !store.decide(run.id, Verdicts.verdict(test: 1, examples: 1), parent: 0, family: 1))
        #expect(try store.run(run.id)?.state == .givenUp)
        #expect(try store.learn([example("secret-name-1", "cat", at: 99)]) == [.forgotten])
        #expect(try store.example(classSet: "s", id: "secret-name-1") == nil && store.tombstones() == 1)
    }

    @Test func `a family of tests ends with a publication, and when the held-out examples have doubled`() throws {
        let store = try StoreFolder().open()
        func next(_ heldOut: Int) throws -> [Int] {
            let run = try store.beginRun(classSet: "s", sha256: "", labels: [], seed: 0)
            let (family, test) = try store.nextTest(classSet: "s", heldOut: heldOut, before: run.id)
            #expect(try store.decide(run.id, Verdicts.verdict(test: test, examples: heldOut), parent: 0, family: family))
            return [family, test]
        }
        #expect(try [next(100), next(150), next(199), next(200)] == [[100, 1], [100, 2], [100, 3], [200, 1]])
        let last = try #require(try store.runs(classSet: "s").last)
        try store.end(last.id, .published, version: 1)
        #expect(try next(210) == [210, 1])
    }
}
