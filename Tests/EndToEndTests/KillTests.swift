import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct KillTests {
    private static let isLong: Bool = ProcessInfo.processInfo.environment["P4Q_LONG"] != nil

    /// 300 kills of each with `deploy/test --long`, a handful otherwise. A quantized model, because its scores are the same bits whatever
    /// the batch, so that every score can be compared with one that was computed alone.
    @Test(.enabled(if: PythonPrograms.path != nil, "\(PythonPrograms.skipReason)"))
    func `whoever is killed, nothing accepted is lost and nothing is seen twice`() async throws {
        let folder = try TemporaryFolder()
        try RandomCLIP.write(RandomCLIP.small, to: folder.url)
        let set = try folder.write("set.yaml", "name: s\nclasses: [cat, dog, fish]\n")
        var images: [String] = []
        try FileManager.default.createDirectory(at: folder.url.appendingPathComponent("images"), withIntermediateDirectories: true)
        for (index, picture) in Pictures.all.enumerated() { images.append(try folder.write("images/image-\(index).jpg", picture)) }
        images.append(try folder.write("torn.jpg", Array(Pictures.jpeg.prefix(100))))
        let model = folder.path("quantized")
        let quantized = try await Program.run(
            ["quantize", "--model", folder.url.path, "--calibration", folder.path("images"), "--class-set", set, "--out", model])
        #expect(quantized.code == 0, "\(quantized.errors)")
        let count = Self.isLong ? 300 : 5
        let run = try PythonPrograms.start(
            "Tests/KillTests/killtest.py",
            [
                "--p4q", Program.url.path, "--model", model, "--kills",
                ["dispatcher", "worker", "sink", "producer"].map { "\($0)=\(count)" }.joined(separator: ","),
            ] + images, environment: ["PRODUCER_RATE": "200"])
        let code = await run.wait()
        #expect(code == 0, "\(run.output)\n\(run.errors)")
        #expect(run.output.contains(#""broken": []"#))
    }
}
