internal import Foundation
package import JobQueue
internal import Metrics

/// Carries the figures of a state into metrics: counters by what they have grown since the last time, gauges as they are now.
///
/// What keeps its state in plain values (the queue, a pipeline) needs no metrics inside; this looks at it whenever somebody scrapes.
package struct FigurePublisher: Sendable {
    private struct Name: Hashable {
        let metric: String
        let labels: [String]
    }

    private let registry: PrometheusRegistry
    private var counters: [Name: (handle: FloatingPointCounter, total: Double)] = [:]
    private var gauges: [Name: Meter] = [:]
    private var histograms: [String: Histogram] = [:]
    private var given: Set<Name> = []
    private let version: String
    private let started = Date().timeIntervalSince1970

    /// - Parameter version: the program's, for `p4q_build_info`.
    package init(_ registry: PrometheusRegistry, version: String) {
        self.registry = registry
        self.version = version
    }

    /// Publishes what `body` gives, and the process' own figures. A gauge that it does not give any more ends.
    package mutating func publish(_ body: (inout FigurePublisher) -> Void) {
        given = []
        body(&self)
        process()
        for (name, meter) in gauges where !given.contains(name) {
            meter.destroy()
            gauges[name] = nil
        }
    }

    /// A counter's value since the process started.
    package mutating func counter(_ metric: String, _ labels: [(String, String)], _ figure: some Figure) {
        let (name, total) = (Name(metric: metric, labels: labels.map(\.1)), figure.figure)
        var entry = counters[name] ?? (FloatingPointCounter(label: metric, dimensions: labels, factory: registry), 0)
        // A counter never falls; what it counts may have been made anew.
        if total > entry.total { entry.handle.increment(by: total - entry.total) }
        entry.total = total
        counters[name] = entry
    }

    package mutating func counter(_ metric: String, _ total: some Figure) { counter(metric, [], total) }

    /// Counters of one metric by one label; `all` are shown from the beginning, so that the first increase can be seen.
    package mutating func counters(_ metric: String, by label: String, _ totals: [String: UInt64], all: [String] = []) {
        for name in all where totals[name] == nil { counter(metric, [(label, name)], 0.0) }
        for (name, total) in totals { counter(metric, [(label, name)], total) }
    }

    package mutating func gauge(_ metric: String, _ labels: [(String, String)], _ value: some Figure) {
        let name = Name(metric: metric, labels: labels.map(\.1))
        given.insert(name)
        let meter = gauges[name] ?? Meter(label: metric, dimensions: labels, factory: registry)
        gauges[name] = meter
        meter.set(value.figure)
    }

    package mutating func gauge(_ metric: String, _ value: some Figure) { gauge(metric, [], value) }

    /// A histogram's values since the process started; its bounds are the catalog's.
    package mutating func histogram(_ metric: String, _ values: Histogram) {
        registry.histogram(metric).add(values, since: histograms[metric] ?? Histogram(bounds: values.bounds))
        histograms[metric] = values
    }

    /// The text, with everything that was published.
    package var text: String { registry.text() }

    /// What every process tells of itself. Source: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
    private mutating func process() {
        gauge("p4q_build_info", [("version", version)], 1)
        gauge("process_start_time_seconds", started)
        let page = Double(sysconf(Int32(_SC_PAGESIZE)))
        let statm = Self.fields("/proc/self/statm").compactMap(Double.init)
        if statm.count > 1 {
            gauge("process_virtual_memory_bytes", statm[0] * page)
            gauge("process_resident_memory_bytes", statm[1] * page)
        }
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
        counter("process_cpu_seconds_total", seconds(usage.ru_utime) + seconds(usage.ru_stime))
        gauge("process_open_fds", (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count ?? 0)
        gauge("process_threads", (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task"))?.count ?? 0)
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 { gauge("process_max_fds", Double(limit.rlim_cur)) }
    }

    private static func fields(_ path: String) -> [String] {
        ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: " ").map(String.init)
    }
}

/// A number that can be published.
package protocol Figure {
    var figure: Double { get }
}

extension Double: Figure {
    package var figure: Double { self }
}

extension Int: Figure {
    package var figure: Double { Double(self) }
}

extension Int64: Figure {
    package var figure: Double { Double(self) }
}

extension UInt64: Figure {
    package var figure: Double { Double(self) }
}
