package import CLIP
internal import Training
internal import Tuning

extension TrainerService {
    /// What a trainer's HTTP port tells: a worker's figures, what it keeps, the gate's last verdict, drift and shadows.
    package func watchSource(_ worker: DispatchedWorker, _ metrics: ProcessMetrics, model: CLIPModel) -> WatchPort.Source {
        worker.watchSource(metrics, model: model) { metrics in
            for watch in watches { watch.publish(to: &metrics) }
            try? publishGate(to: &metrics)
        }
    }

    private func publishGate(to metrics: inout FigurePublisher) throws {
        guard let store = retrainings.first?.retrainer.store else { return }
        let counts = Dictionary(grouping: try store.labelCounts(), by: \.classSet)
        for retraining in retrainings {
            let name = ("class_set", retraining.retrainer.classSet.name)
            let found = counts[name.1] ?? []
            metrics.gauge("p4q_trainer_examples", [name, ("split", "training")], found.reduce(0) { $0 + $1.training })
            metrics.gauge("p4q_trainer_examples", [name, ("split", "held_out")], found.reduce(0) { $0 + $1.heldOut })
            let records = try store.runs(classSet: name.1)
            for (state, group) in Dictionary(grouping: records, by: \.state.rawValue) {
                metrics.gauge("p4q_trainer_runs", [name, ("state", state)], group.count)
            }
            guard let figures = records.last(where: { $0.verdict != nil })?.verdict?.figures else { continue }
            metrics.gauge("p4q_trainer_gate_held_out", [name], figures.examples)
            for (model, count) in [("untuned", figures.untuned), ("before", figures.before), ("after", figures.after)] {
                metrics.gauge("p4q_trainer_gate_right", [name, ("model", model)], count)
            }
            metrics.gauge("p4q_trainer_gate_p", [name], figures.p)
            metrics.gauge("p4q_trainer_gate_level", [name], figures.level)
            metrics.gauge("p4q_trainer_gate_calibration_error", [name, ("model", "before")], figures.calibrationErrorBefore)
            metrics.gauge("p4q_trainer_gate_calibration_error", [name, ("model", "after")], figures.calibrationErrorAfter)
        }
    }
}
