import Messages
import Testing

struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"

    @Test func `a trace context is read`() throws {
        let context = try #require(TraceContext("00-\(Self.trace)-\(Self.span)-01"))
        #expect(context.traceID == Self.trace && context.parentID == Self.span && context.isSampled)
        #expect(TraceContext("00-\(Self.trace)-\(Self.span)-00")?.isSampled == false)
        // A later version may have more behind the flags.
        #expect(TraceContext("01-\(Self.trace)-\(Self.span)-03-more")?.isSampled == true)
    }

    @Test(arguments: [
        "", "00", "00-\(trace)-\(span)", "00-\(trace)-\(span)-01-more", "ff-\(trace)-\(span)-01", "0-\(trace)-\(span)-01",
        "00-\(String(repeating: "0", count: 32))-\(span)-01", "00-\(trace)-0000000000000000-01", "00-\(trace.uppercased())-\(span)-01",
        "00-\(trace.dropLast())-\(span)-01", "00-\(trace)-\(span)x-01", "00-\(trace)-\(span)-0g",
    ])
    func `what is no trace context is ignored`(_ text: String) { #expect(TraceContext(text) == nil) }

    @Test func `a producer without the field may put it into the metadata; the field goes first`() throws {
        func received(_ job: Job) throws -> String? {
            let batch = try ReceivedJobBatch(envelope: try JobBatch(jobs: [job]).encode(), payloadSizes: [1])
            return try batch.entries.first?.get().traceparent
        }
        let (one, other) = ("00-\(Self.trace)-\(Self.span)-01", "00-\(Self.trace)-\(Self.span)-00")
        #expect(try received(Job(id: "a", metadata: ["traceparent": one])) == one)
        #expect(try received(Job(id: "a", metadata: ["traceparent": one], traceparent: other)) == other)
        #expect(try received(Job(id: "a")) == "")
    }
}
