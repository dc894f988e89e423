import JobQueue
import Metrics
import Services
import Testing

struct MetricsTests {
    private func lines(_ text: String, _ name: String) -> [String] {
        text.split(separator: "\n").map(String.init).filter { $0.hasPrefix(name) }
    }

    @Test func `what is counted through swift-metrics is Prometheus' text, with help, escaped labels and buckets of the catalog`() {
        let registry = PrometheusRegistry()
        let images = [("format", "jpeg"), ("outcome", "a\"b\\c\nd")]
        Counter(label: "p4q_images_total", dimensions: images, factory: registry).increment(by: 3)
        Counter(label: "p4q_images_total", dimensions: images, factory: registry).increment()
        Timer(label: "p4q_stage_seconds", dimensions: [("stage", "decode")], factory: registry).recordMilliseconds(3)
        Meter(label: "some.library", dimensions: [], factory: registry).set(0.5)
        let text = registry.text()
        #expect(text.contains("# HELP p4q_images_total Images by file format"))
        #expect(text.contains("# TYPE p4q_images_total counter\np4q_images_total{format=\"jpeg\",outcome=\"a\\\"b\\\\c\\nd\"} 4\n"))
        #expect(text.contains("# TYPE some_library gauge\nsome_library 0.5\n"))
        #expect(lines(text, "p4q_stage_seconds_bucket").count == 15)
        #expect(text.contains("p4q_stage_seconds_bucket{stage=\"decode\",le=\"0.0025\"} 0\n"))
        #expect(text.contains("p4q_stage_seconds_bucket{stage=\"decode\",le=\"0.005\"} 1\n"))
        #expect(text.contains("p4q_stage_seconds_count{stage=\"decode\"} 1\n"))
    }

    @Test func `a metric shows so many label values and no more, and says how many it has dropped`() {
        let registry = PrometheusRegistry(seriesLimit: 2)
        for code in ["a", "b", "c", "d", "a"] {
            Counter(label: "p4q_jobs_rejected_total", dimensions: [("code", code)], factory: registry).increment()
        }
        // The same name as something else counts into the void as well.
        Meter(label: "p4q_jobs_rejected_total", dimensions: [("code", "a")], factory: registry).set(100)
        let text = registry.text()
        #expect(
            lines(text, "p4q_jobs_rejected_total") == [#"p4q_jobs_rejected_total{code="a"} 2"#, #"p4q_jobs_rejected_total{code="b"} 1"#])
        #expect(lines(text, "p4q_metrics_dropped_series") == ["p4q_metrics_dropped_series 3"])
    }

    @Test func `figures of a state become counters that only grow, gauges that end, and histograms`() {
        let metrics = ProcessMetrics()
        var values = Histogram(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256])
        values.add(3)
        var text = metrics.text { metrics in
            metrics.counter("p4q_jobs_accepted_total", 5)
            metrics.counters("p4q_jobs_busy_total", by: "reason", ["disk.low": 2], all: ["disk.low", "names"])
            metrics.gauge("p4q_group_members", [("group", "a")], 1)
            metrics.gauge("p4q_group_members", [("group", "b")], 2)
            metrics.histogram("p4q_batch_jobs", values)
        }
        #expect(
            lines(text, "p4q_jobs_busy_total") == [#"p4q_jobs_busy_total{reason="disk.low"} 2"#, #"p4q_jobs_busy_total{reason="names"} 0"#])
        #expect(lines(text, "p4q_group_members").count == 2)
        #expect(lines(text, "process_resident_memory_bytes").count == 1 && lines(text, "process_max_fds").count == 1)
        values.add(3)
        values.add(1000)
        text = metrics.text { metrics in
            metrics.counter("p4q_jobs_accepted_total", 7)
            metrics.gauge("p4q_group_members", [("group", "b")], 3)
            metrics.histogram("p4q_batch_jobs", values)
        }
        #expect(lines(text, "p4q_jobs_accepted_total") == ["p4q_jobs_accepted_total 7"])
        #expect(lines(text, "p4q_group_members") == [#"p4q_group_members{group="b"} 3"#])
        #expect(text.contains("p4q_batch_jobs_bucket{le=\"4\"} 2\n") && text.contains("p4q_batch_jobs_bucket{le=\"+Inf\"} 3\n"))
        #expect(text.contains("p4q_batch_jobs_sum 1006\n"))
    }

    @Test func `quantiles are interpolated within their bucket`() {
        var values = Histogram(bounds: [1, 2, 4])
        #expect(values.quantile(0.5) == nil)
        for value in [0.5, 1.5, 1.5, 3, 100] { values.add(value) }
        #expect(values.quantile(0.2) == 1)
        #expect(values.quantile(0.4) == 1.5)
        #expect(values.quantile(0.99) == 4)
    }
}
