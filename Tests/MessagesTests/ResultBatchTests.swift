import Foundation
import Messages
import Testing

@Suite struct ResultBatchTests {
    @Test func `every field of a result survives the wire`() throws {
        let envelopes = try ResultBatch(id: "batch 7", worker: "w1", results: Samples.results).encode()
        #expect(envelopes.count == 1)
        let received = try ReceivedResultBatch(envelope: envelopes[0])
        #expect(received.id == "batch 7" && received.worker == "w1" && received.rejected.isEmpty)
        #expect(received.results == Samples.results)
    }

    @Test func `more results than an envelope holds become several envelopes, in order`() throws {
        let results = (0..<600).map { JobResult(id: "\($0)", outcome: .scored([], unknown: false), worker: "w") }
        let envelopes = try ResultBatch(id: "b", worker: "w", results: results).encode()
        #expect(envelopes.count == 3)
        #expect(try envelopes.flatMap { try ReceivedResultBatch(envelope: $0).results } == results)
    }

    @Test func `results are split by bytes too`() throws {
        let metadata = ["k": String(repeating: "v", count: 16_000)]
        let results = (0..<200).map { JobResult(id: "\($0)", outcome: .scored([], unknown: false), worker: "w", metadata: metadata) }
        let envelopes = try ResultBatch(id: "b", worker: "w", results: results).encode()
        #expect(envelopes.count == 4)
        #expect(envelopes.allSatisfy { $0.count <= 1_048_576 })
        #expect(try envelopes.flatMap { try ReceivedResultBatch(envelope: $0).results } == results)
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func `scores that are not finite are sent as a failure of that job alone`(value: Float) throws {
        let bad = [
            JobResult(
                id: "p", outcome: .scored([Prediction(label: "x", index: 0, probability: value, cosine: 0)], unknown: false), worker: "w"),
            JobResult(
                id: "c", outcome: .scored([Prediction(label: "x", index: 0, probability: 0, cosine: value)], unknown: false), worker: "w"),
        ]
        let envelope = try ResultBatch(id: "", worker: "w", results: bad + [Samples.results[2]]).encode()[0]
        let received = try ReceivedResultBatch(envelope: envelope)
        #expect(received.results.map(\.id) == ["p", "c", "late"])
        for result in received.results.prefix(2) {
            guard case .failed(let failure) = result.outcome else { throw Unexpected() }
            #expect(failure.code == "message.invalid_field" && failure.message.contains("not a finite number"))
        }
    }

    @Test func `a received result that is wrong costs only itself`() throws {
        // A result without outcome; one whose stage is unspecified; one whose stage nobody knows; one with NaN (0x7FC00000) as cosine.
        let bodies: [[UInt8]] = [
            [0x0A, 1, 0x61], [0x0A, 1, 0x62, 0x5A, 3, 0x0A, 1, 0x78], [0x0A, 1, 0x63, 0x5A, 5, 0x0A, 1, 0x78, 0x10, 99],
            [0x0A, 1, 0x64, 0x52, 7, 0x0A, 5, 0x25, 0, 0, 0xC0, 0x7F], [0x0A, 1, 0x65, 0x52, 0],
        ]
        let received = try ReceivedResultBatch(envelope: bodies.flatMap { [0x1A, UInt8($0.count)] + $0 })
        #expect(received.results.map(\.id) == ["e"])
        #expect(
            received.rejected.map(\.code) == [
                "message.missing_field", "message.missing_field", "message.invalid_field", "message.invalid_field",
            ])
    }

    @Test func `a long failure text is cut at a character`() throws {
        let text = String(repeating: "ä", count: 3000)
        let result = JobResult(id: "a", outcome: .failed(Failure(code: "x", stage: .infer, message: text, retryable: true)), worker: "")
        let received = try ReceivedResultBatch(envelope: try ResultBatch(id: "", worker: "", results: [result]).encode()[0])
        guard case .failed(let failure) = received.results[0].outcome else { throw Unexpected() }
        #expect(failure.message == String(repeating: "ä", count: 2048))
    }
}

@Suite struct JSONLineTests {
    @Test func `the line of a scored result is the documented one, in its order`() {
        let hash = { (byte: String) in String(repeating: byte, count: 32) }
        #expect(
            Samples.results[0].jsonLine() == """
                {"id":"images/1.jpg","status":"ok","predictions":[{"label":"tabby \\"cat\\"","index":1,"probability":0.3,"cosine":-0.25},\
                {"label":"dog","index":0,"probability":1e-20,"cosine":1.0}],"unknown":true,\
                "model":{"name":"clip","sha256":"\(hash("02"))"},"class_set":{"name":"animals","sha256":"\(hash("03"))"},\
                "release":7,"release_other_classes":true,\
                "image":{"sha256":"\(hash("01"))","width":640,"height":480,"format":"jpeg"},\
                "timing_us":{"queue":1,"decode":20,"preprocess":300,"infer":4000,"total":5000000},\
                "worker":"w1","attempt":2,"metadata":{"a":"line\\nbreak","b":"2"},"traceparent":"00-aa-bb-01"}
                """)
    }

    @Test func `the line of a failure has its error and leaves out what is not known`() {
        #expect(
            Samples.results[2].jsonLine() == """
                {"id":"late","status":"error","error":{"code":"queue.expired","stage":"queue","message":"","retryable":true},\
                "timing_us":{"queue":0,"decode":0,"preprocess":0,"infer":0,"total":0},"worker":"w1","attempt":1,"metadata":{}}
                """)
        #expect(Samples.results[1].jsonLine().contains("\"image\":{\"sha256\":\"\(String(repeating: "04", count: 32))\"}"))
    }

    @Test func `a line is one line and valid JSON, whatever the texts hold`() throws {
        let text = String(String.UnicodeScalarView((0...0x2100).compactMap(Unicode.Scalar.init))) + "🐈\"\\"
        let result = JobResult(id: text, outcome: .scored([], unknown: false), worker: text, metadata: [text: text])
        let line = result.jsonLine()
        #expect(!line.unicodeScalars.contains { CharacterSet.newlines.contains($0) || $0.value < 0x20 })
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["id"] as? String == text)
        #expect(object["metadata"] as? [String: String] == [text: text])
    }

    @Test func `numbers read back as the same Float`() throws {
        var generator = SystemRandomNumberGenerator()
        let values =
            (0..<1000).map { _ in Float(bitPattern: UInt32.random(in: 0..<0x7F80_0000, using: &generator)) } + [
                0, -0.0, 1, .leastNonzeroMagnitude,
            ]
        let predictions = values.map { Prediction(label: "", index: 0, probability: $0, cosine: -$0) }
        let line = JobResult(id: "a", outcome: .scored(predictions, unknown: false), worker: "").jsonLine()
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let found = try #require(object["predictions"] as? [[String: Any]]).map { ($0["probability"] as? NSNumber)?.floatValue }
        #expect(found == values)
    }

    @Test func `a CSV record quotes what needs it`() {
        let columns = JobResult.csvHeader.split(separator: ",").count
        #expect(columns == 21)
        #expect(
            Samples.results[0].csvRow()
                == "images/1.jpg,ok,\"tabby \"\"cat\"\"\",1,0.3,-0.25,true,,,clip,animals,jpeg,640,480,"
                + String(repeating: "01", count: 32) + ",5000000,w1,2,7,,")
        #expect(Samples.results[2].csvRow() == "late,error,,,,,,queue.expired,,,,,,,,0,w1,1,,,")
        let pushed = JobResult(
            id: "run/01", outcome: .failed(Failure(code: "decode.empty", stage: .decode, message: "", retryable: false)), worker: "w1",
            metadata: ["path": "cats, dogs/1.jpg", "label": "cat"])
        #expect(pushed.csvRow().hasSuffix(",\"cats, dogs/1.jpg\",cat"))
    }
}
