internal import JobQueue
package import Metrics
internal import Synchronization

/// A backend of swift-metrics that Prometheus scrapes: what is counted through swift-metrics is shown as Prometheus' text format, version 0.0.4.
///
/// Help texts and buckets are the catalog's. A metric has at most `seriesLimit` combinations of label values: more are counted as dropped and
/// shown nowhere, so that no peer can make a scrape grow without bound.
package final class PrometheusRegistry: MetricsFactory {
    private struct Family {
        let kind: MetricCatalog.Kind
        /// By the labels as they are shown.
        var series: [String: any Series] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var dropped = 0
    }

    private let state = Mutex(State())
    private let seriesLimit: Int

    /// - Parameter seriesLimit: 1,000, more than the services, groups and class sets of a fleet that somebody still looks at.
    package init(seriesLimit: Int = 1000) { self.seriesLimit = seriesLimit }

    // MARK: swift-metrics

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .counter) { ValueSeries($0) }
    }

    package func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        series(label, dimensions, .counter) { ValueSeries($0) }
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge) { ValueSeries($0) }
    }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if aggregate { histogram(label, dimensions) } else { series(label, dimensions, .gauge) { ValueSeries($0) } }
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { histogram(label, dimensions) }

    package func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    package func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    package func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    package func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

    /// A histogram, which can also take in what was counted elsewhere.
    func histogram(_ name: String, _ labels: [(String, String)] = []) -> HistogramSeries {
        let buckets = MetricCatalog.entries[name]?.buckets ?? MetricCatalog.standardBuckets
        return series(name, labels, .histogram) { HistogramSeries($0, bounds: buckets) }
    }

    // MARK: Series

    /// The series of these labels, made if it is not there. One that finds no room, or whose name has another kind, counts into the void.
    private func series<Value: Series>(
        _ label: String, _ labels: [(String, String)], _ kind: MetricCatalog.Kind, make: (SeriesName) -> Value
    ) -> Value {
        let name = SeriesName(family: PrometheusText.name(label), labels: PrometheusText.labels(labels))
        return state.withLock { state in
            let family = state.families[name.family, default: Family(kind: kind)]
            if let known = family.series[name.labels] as? Value, family.kind == kind { return known }
            let made = make(name)
            guard family.kind == kind, family.series[name.labels] == nil, family.series.count < seriesLimit else {
                state.dropped += 1
                return made
            }
            state.families[name.family, default: family].series[name.labels] = made
            return made
        }
    }

    private func remove(_ handler: AnyObject) {
        guard let series = handler as? any Series else { return }
        state.withLock { state in
            // A series that was dropped has the name of none that is shown, or of another one.
            guard state.families[series.name.family]?.series[series.name.labels] === series else { return }
            state.families[series.name.family]?.series[series.name.labels] = nil
        }
    }

    // MARK: The text

    /// Everything, by name.
    package func text() -> String {
        let (families, dropped) = state.withLock { ($0.families, $0.dropped) }
        var text = PrometheusText()
        text.begin("p4q_metrics_dropped_series", .gauge)
        text.sample("p4q_metrics_dropped_series", "", Double(dropped))
        for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
            text.begin(name, family.kind)
            for (_, series) in family.series.sorted(by: { $0.key < $1.key }) { series.write(to: &text) }
        }
        return text.text
    }
}

/// What a series is called.
struct SeriesName: Hashable, Sendable {
    let family: String
    /// As they are shown between the braces; empty if there are none.
    let labels: String
}

/// One combination of a metric and label values.
protocol Series: AnyObject, Sendable {
    var name: SeriesName { get }
    func write(to text: inout PrometheusText)
}

/// A counter or a gauge.
final class ValueSeries: Series, CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler {
    let name: SeriesName
    private let value = Mutex(0.0)

    init(_ name: SeriesName) { self.name = name }

    func increment(by amount: Int64) { value.withLock { $0 += Double(amount) } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func set(_ new: Int64) { value.withLock { $0 = Double(new) } }
    func set(_ new: Double) { value.withLock { $0 = new } }
    func record(_ new: Int64) { set(new) }
    func record(_ new: Double) { set(new) }
    func reset() { set(0.0) }

    func write(to text: inout PrometheusText) { text.sample(name.family, name.labels, value.withLock { $0 }) }
}

/// Values by size; durations in seconds.
final class HistogramSeries: Series, RecorderHandler, TimerHandler {
    let name: SeriesName
    private let values: Mutex<Histogram>

    init(_ name: SeriesName, bounds: [Double]) {
        self.name = name
        values = Mutex(Histogram(bounds: bounds))
    }

    func record(_ value: Int64) { record(Double(value)) }
    func record(_ value: Double) { values.withLock { $0.add(value) } }
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) * 1e-9) }

    /// Takes in what another histogram of the same bounds has counted since it was as in `before`.
    func add(_ other: Histogram, since before: Histogram) { values.withLock { $0.add(other, since: before) } }

    func write(to text: inout PrometheusText) { text.histogram(name.family, name.labels, values.withLock { $0 }) }
}
