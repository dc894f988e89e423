import Foundation
import Testing

/// Options by flag, environment and file, checked, shown, and read again while a dispatcher runs.
@Suite(.serialized) struct ConfigurationTests {
    @Test func `flags go before the environment, that before the file's sections, those before what is common, and that before defaults`()
        async throws
    {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "p4q.yaml",
            """
            common:
              log-level: warning
              name: everyone
              batch-wait: 9
            worker:
              batch-max: 11
              batch-wait: 8
              lanes: 3
              pull: ["@tcp://127.0.0.1:1", "@tcp://127.0.0.1:2"]
              insecure: yes
            limits:
              producers: {camera: {jobs: 7, weight: 5}}
            """)
        let environment = ["P4Q_CONFIG": file, "P4Q_LANES": "4", "P4Q_BATCH_MAX": "12"]
        let shown = try await Program.run(["config", "show", "worker", "--origin", "--", "--batch-max", "13"], environment: environment)
        #expect(shown.code == 0, "\(shown.errors)")
        let lines = Set(shown.output.split(separator: "\n").map(String.init))
        #expect(lines.contains("  batch-max: 13  # flag"))
        #expect(lines.contains("  lanes: 4  # environment P4Q_LANES"))
        #expect(lines.contains("  batch-wait: 8  # \(file):7"))
        #expect(lines.contains("  log-level: warning  # \(file):2 (common)"))
        #expect(lines.contains("  flush-seconds: 10  # default"))
        #expect(lines.contains("  insecure: yes  # \(file):10"))
        #expect(lines.contains(#"  pull: ["@tcp://127.0.0.1:1", "@tcp://127.0.0.1:2"]  # \#(file):9"#))
        #expect(lines.contains { $0.hasPrefix(#"    "camera": {jobs: 7, weight: 5}"#) })

        // What is shown is a file that gives the same.
        let plain = try await Program.run(["config", "show", "worker"], environment: environment)
        let copy = try folder.write("copy.yaml", plain.output)
        #expect(try await Program.run(["config", "validate", copy]).code == 0)
        let again = try await Program.run(["config", "show", "worker", "--config", copy])
        #expect(again.output == plain.output && again.code == 0, "\(again.errors)")

        // And it is what runs: a name that only the file gives.
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let worker = try await RunningWorker(model: folder.url.path, ["--labels", "a,b", "--config", file, "--log-level", "info"])
        #expect(await worker.stop() == 0)
    }

    @Test func `everything that is wrong with a file is said with its line, and what may have been meant`() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "p4q.yaml",
            """
            dispatsh: {http: 1}
            dispatch:
              htpp: 9100
              max-jobs: many
              attempts: 0
              key: only-one.key_secret
              http: [1, 2]
            worker:
              insecure: perhaps
              batch-max:
            limits:
              producer: {jobs: 0, bytes: 10 parsecs, age: 1h}
              producers:
                camera: {wieght: 5, weight: 2000}
              service: {weight: 1}
            """)
        let checked = try await Program.run(["config", "validate", file])
        #expect(checked.code == 65)
        let faults = checked.errors
        for expected in [
            "p4q.yaml:1: there is no command \"dispatsh\", and a section is a command, common, or limits; did you mean dispatch? (config.unknown_section)",
            "p4q.yaml:3: dispatch.htpp is not known; did you mean http? (config.unknown_key)",
            "p4q.yaml:7: dispatch.http: it takes one value, not a list (config.wrong_value)",
            "p4q.yaml:9: worker.insecure: it is true or false, not \"perhaps\" (config.wrong_value)",
            "worker.batch-max: it has no value (config.wrong_value)",
            "p4q.yaml:12: limits.producer.jobs: \"0\" is not a number of at least 1",
            "p4q.yaml:12: limits.producer.bytes: \"10 parsecs\" is not a size",
            "p4q.yaml:14: limits.producers.camera.wieght is not known; did you mean weight?",
            "p4q.yaml:14: limits.producers.camera.weight: \"2000\" is not a number from 1 to 1000",
            "p4q.yaml:15: limits.service.weight is not known",
        ] { #expect(faults.contains(expected), "\(expected) in \(faults)") }

        // With its form in order, the values are tried as the command would.
        try folder.write("p4q.yaml", "dispatch:\n  max-jobs: many\n  attempts: 0\n  http: 9100\ncommon:\n  log-level: loud\n")
        let values = try await Program.run(["config", "validate", file])
        #expect(values.code == 65)
        #expect(values.errors.contains("p4q.yaml:2: dispatch.max-jobs: The value 'many' is invalid"), "\(values.errors)")
        #expect(values.errors.contains("p4q.yaml:3: dispatch.attempts: limits must be at least 1"), "\(values.errors)")
        #expect(values.errors.contains("p4q.yaml:6: common.log-level: "), "\(values.errors)")
        #expect(!values.errors.contains("http"))
        try folder.write("p4q.yaml", "dispatch:\n  journal: q\n  key: only-one.key_secret\n")
        let together = try await Program.run(["config", "validate", file])
        #expect(together.code == 65 && together.errors.contains("--key and --allow go together"), "\(together.errors)")

        // A command refuses it as well, before it does anything.
        let refused = try await Program.run(["dispatch", "--config", file, "--journal", folder.path("j")])
        #expect(refused.code == 65 && refused.errors.contains("(config.wrong_value)"))
        #expect(!FileManager.default.fileExists(atPath: folder.path("j")))
        try folder.write("p4q.yaml", "dispatch: {http: 1, http: 2}\n")
        let twice = try await Program.run(["config", "validate", file])
        #expect(twice.code == 65 && twice.errors.contains("config.syntax"), "\(twice.errors)")
        #expect(try await Program.run(["config", "validate", folder.path("nothing.yaml")]).code == 66)
        #expect(try await Program.run(["config", "show", "dispatsh"]).errors.contains("did you mean dispatch?"))
    }

    @Test func `a running dispatcher takes changed limits, at once or at SIGHUP, and keeps the old ones when the new file is wrong`()
        async throws
    {
        let folder = try TemporaryFolder()
        let file = try folder.write("p4q.yaml", "limits: {producer: {jobs: 3}}\n")
        let dispatcher = try await RunningDispatcher(folder, ["--config", file])
        func accepted(_ run: String, _ count: Int) async throws -> Int {
            var inputs: [String] = []
            for index in 0..<count { inputs.append(try folder.write("\(run)-\(index).jpg", Pictures.jpeg)) }
            let push = try Program(["push", "--dispatcher", dispatcher.endpoint, "--run", run, "--patience", "60"] + inputs)
            try await Task.sleep(for: .milliseconds(1500))
            let figures = try await dispatcher.run(["queue", "figures"]).output
            // SIGTERM would let it wait until what is under way has found room.
            kill(push.process.processIdentifier, SIGKILL)
            _ = await push.wait()
            struct Figures: Decodable { let openJobs: Int }
            return try JSONDecoder().decode(Figures.self, from: Data(figures.utf8)).openJobs
        }
        #expect(try await accepted("one", 5) == 3)

        func logged(_ text: String, times: Int = 1) async throws -> Bool {
            for _ in 0..<100 {
                if dispatcher.program.errors.components(separatedBy: text).count > times { return true }
                try await Task.sleep(for: .milliseconds(50))
            }
            return false
        }
        try folder.write("p4q.yaml", "limits: {producer: {jobs: 5}, producers: {camera: {weight: 9}}}\n")
        #expect(
            try await logged("producer.jobs 3 -> 5; producers.camera.jobs none -> 5; producers.camera.weight none -> 9"),
            "\(dispatcher.program.errors)")
        #expect(dispatcher.program.errors.contains("audit.who=file"))
        #expect(try await accepted("two", 5) == 5)

        try folder.write("p4q.yaml", "limits: {producer: {jobbs: 9}}\n")
        #expect(try await logged("did you mean jobs?"), "\(dispatcher.program.errors)")
        #expect(dispatcher.program.errors.contains("the limits before stay"))
        #expect(try await accepted("three", 2) == 5)

        try folder.write("p4q.yaml", "limits: {producer: {jobs: 6}}\ndispatch: {http: 1}\n")
        kill(dispatcher.program.process.processIdentifier, SIGHUP)
        #expect(try await logged("producer.jobs 5 -> 6"), "\(dispatcher.program.errors)")
        #expect(try await logged("changed options count from the next start on"))
        #expect(try await accepted("four", 2) == 6)
        #expect(await dispatcher.stop() == 0)
    }
}
