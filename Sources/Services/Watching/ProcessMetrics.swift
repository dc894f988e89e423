package import Metrics
internal import Synchronization

/// The metrics of this process: what is counted through swift-metrics, and what is looked up when somebody scrapes.
package final class ProcessMetrics: Sendable {
    /// The program's version.
    package static let version = "0.1.0"

    private let registry = PrometheusRegistry()
    private let publisher: Mutex<FigurePublisher>

    package init() { publisher = Mutex(FigurePublisher(registry, version: Self.version)) }

    /// For what counts by itself.
    package var factory: any MetricsFactory { registry }

    /// What Prometheus is given, after `publish` has given the figures of states.
    package func text(_ publish: (inout FigurePublisher) -> Void = { _ in }) -> String {
        publisher.withLock { publisher in
            publisher.publish(publish)
            return publisher.text
        }
    }
}
