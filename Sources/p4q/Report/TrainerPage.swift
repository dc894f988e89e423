import Foundation
import Training
import Tuning

/// What a trainer's store tells of a class set, as a page.
struct TrainerPage {
    let classSet: String
    /// Oldest first.
    let runs: [TrainingRecord]
    /// The run that the page is about; nil before the first decision.
    let decided: TrainingRecord?
    let answers: [DecidedAnswer]
    let labels: [LabelCount]
    let arrivals: [LabelArrival]
    /// Newest first.
    let events: [ExampleStore.Event]
    let flipLimit: Int

    /// Classes that a chart shows one by one.
    private static let shownClasses = 30
    /// Days of the labels' chart.
    private static let shownDays = 60

    var text: String {
        var page = HTMLPage("\(classSet): what the trainer has learned")
        if let decided, let verdict = decided.verdict {
            summary(decided, verdict, &page)
            classes(verdict.figures, &page)
            answered(verdict.figures, &page)
            page.flips(answers, names: verdict.figures.classes.map(\.name), limit: flipLimit)
        } else {
            page.paragraph("No candidate has been decided on yet.")
        }
        labelled(&page)
        happened(&page)
        decisions(&page)
        return page.text
    }

    // MARK: The decision

    private func summary(_ run: TrainingRecord, _ verdict: GateVerdict, _ page: inout HTMLPage) {
        let figures = verdict.figures
        let state =
            switch run.state {
            case .published: "published as release \(run.version.map { "\($0)" } ?? "?")"
            case .accepted: "let through, and not published yet"
            case .rejected: "stopped: \(verdict.reasons.joined(separator: "; "))"
            case .training, .givenUp, .failed: "\(run.state.rawValue)\(run.note.map { ": \($0)" } ?? "")"
            }
        page.paragraph("Run \(run.id) of \(Self.moment(run.ended ?? run.started)) was \(state).")
        page.heading("Accuracy on \(figures.examples) held-out examples")
        func estimate(_ name: String, _ right: Int) -> SVGChart.Estimate {
            SVGChart.Estimate(
                name: name, share: Double(right) / Double(max(figures.examples, 1)),
                interval: ExactTest.interval(right: right, of: figures.examples))
        }
        let rows =
            [estimate("without a tuning", figures.untuned)]
            + ((run.parent ?? 0) > 0 ? [estimate("release \(run.parent ?? 0), in service", figures.before)] : [])
            + [estimate("the candidate", figures.after)]
        let caption =
            "With 95 % intervals (Wilson). The two are compared example by example: the candidate alone is right on \(figures.gained), the one "
            + "before alone on \(figures.lost); McNemar's exact p = \(SVGChart.tick(figures.p)), needed below "
            + "\(SVGChart.tick(figures.level)) (test \(figures.test) of its family)."
        page.figures([(SVGChart.estimates(rows), caption)])
        page.table(
            ["", "right", "accuracy", "95 % interval", "calibration error"],
            zip(rows, rows.count == 3 ? [figures.untuned, figures.before, figures.after] : [figures.untuned, figures.after]).map {
                row, right in
                let error: String =
                    row.name == "the candidate"
                    ? Self.percent(figures.calibrationErrorAfter)
                    : row.name == "without a tuning" && rows.count == 3 ? "" : Self.percent(figures.calibrationErrorBefore)
                let interval = "\(Self.percent(row.interval.lowerBound)) to \(Self.percent(row.interval.upperBound))"
                return [row.name, "\(right)", Self.percent(row.share), interval, error]
            })
    }

    private func classes(_ figures: GateFigures, _ page: inout HTMLPage) {
        let changed = figures.classes.filter { $0.examples > 0 && $0.after != $0.before }
        page.heading("Changes by class")
        if changed.isEmpty { return page.paragraph("No class has another accuracy than before.") }
        let order = changed.sorted { ($0.after - $0.before, $0.name) < ($1.after - $1.before, $1.name) }
        // The worst and the best, where there are too many.
        let half = Self.shownClasses / 2
        let shown = order.count <= Self.shownClasses ? order : Array(order.prefix(half) + order.suffix(half))
        let rows = shown.map { entry in
            let change = Double(entry.after - entry.before) / Double(entry.examples)
            let sign = change > 0 ? "+" : "−"
            return (entry.name, change, "\(sign)\(fixed(abs(change) * 100, 0)) (\(entry.before) → \(entry.after) of \(entry.examples))")
        }
        let rest = order.count - shown.count
        let unchanged = figures.classes.count { $0.examples > 0 } - changed.count
        page.figures([
            (
                SVGChart.changes(rows),
                "Points of accuracy, and right answers before and after. \(unchanged) classes are as before\(rest > 0 ? ", \(rest) more changed less" : "")."
            )
        ])
    }

    private func answered(_ figures: GateFigures, _ page: inout HTMLPage) {
        let names = figures.classes.map(\.name)
        let places = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        var (before, after) = (Evaluation(classes: names.count), Evaluation(classes: names.count))
        for answer in answers {
            guard let label = places[answer.label], names.indices.contains(answer.before), names.indices.contains(answer.after) else {
                continue
            }
            before.add(label: label, ranking: [answer.before], confidence: answer.confidenceBefore)
            after.add(label: label, ranking: [answer.after], confidence: answer.confidenceAfter)
        }
        if after.images == 0 { return }
        page.heading("Confusion")
        func shares(_ evaluation: Evaluation) -> [[Double]] {
            names.indices.map { label in
                let total = Double(max(evaluation.confusion.images(of: label), 1))
                return names.indices.map { Double(evaluation.confusion[label, $0]) / total }
            }
        }
        page.figures([
            (
                SVGChart.matrix(shares(before), range: 0...1, names: names),
                "Before: labels down, answers across, shares of a label's examples."
            ),
            (SVGChart.matrix(shares(after), range: 0...1, names: names), "After."),
        ])
        page.heading("Calibration")
        func bins(_ evaluation: Evaluation) -> [(confidence: Double, accuracy: Double)] {
            evaluation.reliability.bins.compactMap { bin in
                bin.confidence.flatMap { confidence in bin.accuracy.map { (confidence: confidence, accuracy: $0) } }
            }
        }
        page.figures([
            (
                SVGChart.reliability([("before", bins(before)), ("after", bins(after))]),
                "Accuracy of answers by how sure they were. Expected calibration error \(Self.percent(figures.calibrationErrorBefore)) before, "
                    + "\(Self.percent(figures.calibrationErrorAfter)) after (\(Self.percent(figures.calibrationErrorUncorrected)) without the "
                    + "temperature of \(SVGChart.tick(figures.temperature)))."
            )
        ])
    }

    // MARK: Labels, events, decisions

    private func labelled(_ page: inout HTMLPage) {
        page.heading("Labels")
        let (training, heldOut) = (labels.reduce(0) { $0 + $1.training }, labels.reduce(0) { $0 + $1.heldOut })
        page.paragraph("\(training) examples to learn from and \(heldOut) held out, of \(labels.count) classes.")
        if arrivals.isEmpty { return }
        let sums = Dictionary(grouping: arrivals, by: \.label).mapValues { $0.reduce(0) { $0 + $1.count } }
        let frequent = sums.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(6).map(\.key)
        let others = sums.count - frequent.count
        let days = Set(arrivals.map(\.day)).sorted().suffix(Self.shownDays)
        let byDay = Dictionary(grouping: arrivals, by: \.day)
        let columns = days.map { day in
            let counts = Dictionary((byDay[day] ?? []).map { ($0.label, $0.count) }, uniquingKeysWith: +)
            let rest = counts.filter { !frequent.contains($0.key) }.values.reduce(0, +)
            return (title: Self.day(day), counts: frequent.map { counts[$0] ?? 0 } + (others > 0 ? [rest] : []))
        }
        page.figures([
            (
                SVGChart.shares(frequent + (others > 0 ? ["\(others) others"] : []), columns),
                "Labels that came, by day (UTC): the most frequent classes' shares. Days without labels are left out."
            )
        ])
    }

    private func happened(_ page: inout HTMLPage) {
        if events.isEmpty { return }
        page.heading("Drift and shadows")
        page.table(["when", "what", ""], events.map { [Self.moment($0.at), $0.kind, $0.text] }, texts: [1, 2])
    }

    private func decisions(_ page: inout HTMLPage) {
        page.heading("Decisions of the gate")
        if runs.isEmpty { return page.paragraph("There were none.") }
        page.table(
            ["run", "began", "state", "release", "right before", "right after", "of", "won, lost", "p", "needed below", "why"],
            runs.reversed().map { run in
                let figures = run.verdict?.figures
                return ["\(run.id)", Self.moment(run.started), run.state.rawValue, run.version.map { "\($0)" } ?? ""]
                    + (figures.map {
                        [
                            "\($0.before)", "\($0.after)", "\($0.examples)", "\($0.gained), \($0.lost)", SVGChart.tick($0.p),
                            SVGChart.tick($0.level),
                        ]
                    } ?? ["", "", "", "", "", ""])
                    + [run.verdict?.reasons.joined(separator: "; ") ?? run.note ?? ""]
            }, texts: [1, 2, 10])
    }

    // MARK: Texts

    static func percent(_ share: Double) -> String { fixed(share * 100, 1) + "\u{A0}%" }

    static func moment(_ milliseconds: Int64) -> String {
        let style = Date.ISO8601FormatStyle(dateTimeSeparator: .space).year().month().day().time(includingFractionalSeconds: false)
        let text = Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(style).prefix(16)
        return text.replacingOccurrences(of: " ", with: "\u{A0}")
    }

    private static func day(_ day: Int64) -> String { String(moment(day * 86_400_000).prefix(10)) }
}
