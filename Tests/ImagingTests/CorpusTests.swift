import Foundation
import Imaging
import TestSupport
import Testing

/// Files from other libraries' test suites, each with what must happen.
@Suite(.serialized, .enabled(if: SharedFolder.isPresent, "\(SharedFolder.skipReason)")) struct CorpusTests {
    private struct Verdict: Decodable {
        let file: String
        let expect: String
        let rgb_sha256: String?
    }

    @Test func `every file gets its verdict`() throws {
        let folder = try SharedFolder.file("data/corpus")
        let verdicts = try JSONDecoder().decode([Verdict].self, from: Data(contentsOf: folder.appendingPathComponent("facts.json")))
        #expect(verdicts.count > 0)
        let decoder = ImageDecoder(appliesOrientation: false)
        for verdict in verdicts {
            let bytes = try Array(Data(contentsOf: folder.appendingPathComponent(verdict.file)))
            let outcome = Result { try decoder.decode(bytes) }
            switch (verdict.expect, outcome) {
            case ("pixels", .success(let image)): #expect(sha256(image.samples) == verdict.rgb_sha256, "\(verdict.file)")
            case ("pixels", .failure(let error)): Issue.record("\(verdict.file): \(error)")
            case ("refuse", .success): Issue.record("\(verdict.file) was decoded")
            case ("refuse", .failure(let error)): #expect(error is ImagingError)
            default: break
            }
        }
    }
}
