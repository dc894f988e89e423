internal import CLIP
internal import Foundation
internal import Training
internal import Tuning

extension TrainerService {
    /// What a trainer's HTTP port tells: a worker's figures, what it keeps, the gate's last verdict, drift and shadows.
    package func watchSource(_ worker: DispatchedWorker) -> WatchPort.Source {
        var source = worker.watchSource
        let base = source.metrics
        source.metrics = { [self] in
            var metrics = await base()
            for watch in watches { watch.addMetrics(to: &metrics) }
            try? addGate(to: &metrics)
            return metrics
        }
        return source
    }

    private typealias Samples = [(labels: [(String, String)], value: Double)]

    private func addGate(to metrics: inout MetricsText) throws {
        guard let store = retrainings.first?.retrainer.store else { return }
        let counts = Dictionary(grouping: try store.labelCounts(), by: \.classSet)
        var (examples, runs, held, right, p, level, errors): (Samples, Samples, Samples, Samples, Samples, Samples, Samples) = (
            [], [], [], [], [], [], []
        )
        for retraining in retrainings {
            let name = ("class_set", retraining.retrainer.classSet.name)
            let found = counts[name.1] ?? []
            examples.append(([name, ("split", "training")], Double(found.reduce(0) { $0 + $1.training })))
            examples.append(([name, ("split", "held_out")], Double(found.reduce(0) { $0 + $1.heldOut })))
            let records = try store.runs(classSet: name.1)
            for (state, group) in Dictionary(grouping: records, by: \.state.rawValue).sorted(by: { $0.key < $1.key }) {
                runs.append(([name, ("state", state)], Double(group.count)))
            }
            guard let figures = records.last(where: { $0.verdict != nil })?.verdict?.figures else { continue }
            held.append(([name], Double(figures.examples)))
            for (model, count) in [("untuned", figures.untuned), ("before", figures.before), ("after", figures.after)] {
                right.append(([name, ("model", model)], Double(count)))
            }
            p.append(([name], figures.p))
            level.append(([name], figures.level))
            errors.append(([name, ("model", "before")], figures.calibrationErrorBefore))
            errors.append(([name, ("model", "after")], figures.calibrationErrorAfter))
        }
        metrics.gauge("p4q_trainer_examples", "Examples that are kept.", examples)
        metrics.gauge("p4q_trainer_runs", "Training runs by what became of them.", runs)
        metrics.gauge("p4q_trainer_gate_held_out", "Held-out examples of the last decision.", held)
        metrics.gauge("p4q_trainer_gate_right", "Of them right by the model alone, the release in service, the candidate.", right)
        metrics.gauge("p4q_trainer_gate_p", "Of McNemar's exact test that the candidate is better.", p)
        metrics.gauge("p4q_trainer_gate_level", "What it had to stay below.", level)
        metrics.gauge("p4q_trainer_gate_calibration_error", "Expected calibration error.", errors)
    }
}
