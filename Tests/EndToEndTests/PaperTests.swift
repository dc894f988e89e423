import Foundation
import TestSupport
import Testing

@Suite struct PaperTests {
    @Test func `the paper's comparisons run, go on where they were, and refuse another comparison's folder`() async throws {
        let folder = try TemporaryFolder()
        for (name, seed, split) in [("train", "1", "training"), ("test", "2", "held-out")] {
            let run = try await Program.run([
                "draw", "--count", "110", "--seed", seed, "--domain", "field", "--split", split, "--out", folder.path(name), "--quiet",
            ])
            #expect(run.code == 0, "\(run.errors)")
        }
        let out = folder.path("report")
        func arguments(_ more: [String] = []) -> [String] {
            [
                "evaluate", "--paper", "--model", "builtin", "--train", folder.path("train"), "--test", folder.path("test"), "--class-set",
                folder.path("train/classes.yaml"), "--out", out, "--bits", "3-3-8", "--seeds", "2", "--epochs", "2", "--no-ablations",
                "--feature-cache", folder.path("features"),
            ] + more
        }
        let first = try await Program.run(arguments())
        #expect(first.code == 0, "\(first.errors)")
        struct Report: Decodable {
            struct Row: Decodable {
                let key: String
                let top1: [Double]
            }
            let rows: [Row]
        }
        let data = try Data(contentsOf: URL(fileURLWithPath: out + "/report.json"))
        let rows = try JSONDecoder().decode(Report.self, from: data).rows
        #expect(
            rows.map(\.key) == ["float/zero-shot", "float/probe", "float/prompt", "float/both"]
                + ["minmax", "ema", "percentile", "omse", "probe", "p4q", "search", "reconstruction", "reconstructed"].map { "3-3-8/\($0)" }
        )
        #expect(rows.first { $0.key == "3-3-8/p4q" }?.top1.count == 2 && rows.allSatisfy { $0.top1.allSatisfy { $0 > 0.02 } })
        let page = try String(contentsOfFile: out + "/report.html", encoding: .utf8)
        #expect(page.contains("<svg") && !page.contains("<script") && !page.contains("src=") && !page.contains("href="))

        // The same figures as evaluate's own.
        let evaluated = try await Program.run([
            "evaluate", "--model", "\(out)/models/omse-3-3-8", "--data", folder.path("test"), "--class-set",
            folder.path("train/classes.yaml"),
            "--json", "--quiet",
        ])
        let own = try #require(try JSONSerialization.jsonObject(with: Data(evaluated.output.utf8)) as? [String: Any])
        let (there, here) = (try #require(own["top1"] as? Double), try #require(rows.first { $0.key == "3-3-8/omse" }?.top1.first))
        #expect(abs(there - here) < 1e-12, "\(there) and \(here)")

        // One cell is lost: only that is made again, to the same result.
        let cells = try FileManager.default.contentsOfDirectory(atPath: out + "/cells").sorted()
        let lost = try #require(cells.first { $0.contains("p4q") })
        let before = try Data(contentsOf: URL(fileURLWithPath: "\(out)/cells/\(lost)"))
        try FileManager.default.removeItem(atPath: "\(out)/cells/\(lost)")
        #expect(try await Program.run(arguments()).code == 0)
        func top1(_ cell: Data) throws -> Double? {
            let object = try JSONSerialization.jsonObject(with: cell) as? [String: Any]
            return (object?["tests"] as? [[String: Any]])?.first?["top1"] as? Double
        }
        #expect(try top1(before) == top1(Data(contentsOf: URL(fileURLWithPath: "\(out)/cells/\(lost)"))))
        let other = try await Program.run(arguments(["--context", "2"]))
        #expect(other.code != 0 && other.errors.contains("another"), "\(other.errors)")
    }

    @Test func `what the comparison needs is asked for`() async throws {
        let run = try await Program.run(["evaluate", "--paper", "--model", "builtin"])
        #expect(run.code == 64 && run.errors.contains("--train"))
        let stray = try await Program.run(["evaluate", "--train", "x", "--data", "y"])
        #expect(stray.code == 64 && stray.errors.contains("--paper"))
    }
}
