import Datasets
import Foundation
import TestSupport
import Testing
import Training

/// Labelled images that are forgotten on request: gone from every file of trainer and dispatcher.
@Suite(.serialized) struct ErasureTests {
    /// A picture of noise, of which no two stretches are alike; uncompressed, so that its pixels stand in the file.
    private static func picture(side: Int, seed: UInt64) -> [UInt8] {
        var state = seed
        let pixels = (0..<side * side * 3).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(state >> 56)
        }
        return StoredPNG.encode(rgb: pixels, width: side, height: side)
    }

    /// Stretches of a picture's file; none of them stands in another picture's. One may lie across two pages of SQLite's.
    private static func marks(_ picture: [UInt8]) -> [Data] {
        stride(from: 100, to: picture.count - 40, by: max(1, picture.count / 7)).map { Data(picture[$0..<$0 + 32]) }
    }

    /// How many of the marks stand in any file below a folder.
    private static func found(_ marks: [Data], in folder: String) throws -> Int {
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder).filter { !$0.hasSuffix("ballast") }
        let contents = files.compactMap { FileManager.default.contents(atPath: folder + "/" + $0) }
        return marks.count { mark in contents.contains { $0.firstRange(of: mark) != nil } }
    }

    /// In a job's row, in a file with others, in a file of its own: the three places where a dispatcher keeps images.
    @Test(arguments: [16, 90, 320]) func `a forgotten image's bytes are in no file of the trainer or the dispatcher`(side: Int) async throws
    {
        let place = try await TrainerPlace()
        let (journal, store) = (place.folder.path("journal"), place.folder.path("store"))
        let dispatcher = try await RunningDispatcher(place.folder)
        try FileManager.default.createDirectory(atPath: place.folder.path("p/red"), withIntermediateDirectories: true)
        let pictures = (0..<4).map { Self.picture(side: side, seed: UInt64($0 + 1)) }
        for (index, picture) in pictures.enumerated() { try place.folder.write("p/red/\(index).png", picture) }
        let lines = (0..<4).map { "e\($0),red,p/red/\($0).png\n" }.joined()
        let table = try place.folder.write("t.csv", "id,label,path\n" + lines)
        #expect(try await dispatcher.run(["label", "push", table]).code == 0)
        let all = pictures.map(Self.marks)
        for marks in all { #expect(try Self.found(marks, in: journal) >= marks.count - 2) }
        func train() async throws {
            // There is too little to learn from: only what waits is taken.
            _ = try await Program.run(place.trainArguments(dispatcher.endpoint, ["--once", "--idle", "1", "--keep-images"]))
        }
        try await train()
        for marks in all { #expect(try Self.found(marks, in: store) >= marks.count - 2) }
        let exported = try await dispatcher.run(["journal", "backup", place.folder.path("backup")])
        #expect(exported.code == 0, "\(exported.errors)")

        #expect(try await dispatcher.run(["label", "rm", "e0", "e2"]).code == 0)
        // Labelled once more before the trainer has heard of it: it must not come back.
        let again = try place.folder.write("again.csv", "id,label,path\ne0,red,p/red/0.png\n")
        #expect(try await dispatcher.run(["label", "push", again, "--pass", "2"]).code == 0)
        try await train()
        let outcomes = try await dispatcher.run(["collect", "--count", "7", "--timeout", "20"]).output
        #expect(outcomes.split(separator: "\n").count == 7)
        #expect(outcomes.components(separatedBy: #""effect":"forgotten""#).count == 3)
        #expect(outcomes.contains(#""code":"example.forgotten""#), "\(outcomes)")
        // What came too late is erased a second behind its outcome.
        for _ in 0..<50 where try Self.found(all[0], in: journal) > 0 { try await Task.sleep(for: .milliseconds(200)) }
        for index in 0..<4 {
            let isForgotten = index % 2 == 0
            let (kept, queued) = (try Self.found(all[index], in: store), try Self.found(all[index], in: journal))
            #expect(isForgotten ? kept == 0 && queued == 0 : kept >= all[index].count - 2, "\(index): \(kept), \(queued)")
        }
        let kept = try ExampleStore(reading: URL(fileURLWithPath: store))
        #expect(try kept.example(classSet: "colours", id: "labels/e0") == nil && kept.example(classSet: "colours", id: "labels/e1") != nil)
        #expect(await dispatcher.stop() == 0)
    }
}
