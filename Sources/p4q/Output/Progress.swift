import Foundation

/// A line on stderr that counts, only where a terminal shows it and nobody asked for quiet.
struct Progress {
    private let title: String
    private let total: Int?
    private let isShown: Bool
    private let start = ContinuousClock.now
    private var shown = ContinuousClock.now - .seconds(1)

    /// - Parameter total: nil where it is not known.
    init(_ title: String, total: Int? = nil, isQuiet: Bool) {
        self.title = title
        self.total = total
        isShown = !isQuiet && isatty(STDERR_FILENO) == 1
    }

    /// Shows that `count` are done, ten times a second at most.
    mutating func update(_ count: Int) {
        guard isShown, ContinuousClock.now - shown > .milliseconds(100) else { return }
        shown = .now
        FileHandle.standardError.write(Data("\r\u{1B}[K\(text(count))".utf8))
    }

    /// Leaves the last count on a line of its own.
    func finish(_ count: Int) {
        if isShown { FileHandle.standardError.write(Data("\r\u{1B}[K\(text(count))\n".utf8)) }
    }

    private func text(_ count: Int) -> String {
        let elapsed = ContinuousClock.now - start
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
        let rate = seconds > 0 ? Double(count) / seconds : 0
        let place = total.map { "\(count) of \($0)" } ?? "\(count)"
        var left = ""
        if let total, rate > 0, count < total { left = ", \(Self.duration(Double(total - count) / rate)) left" }
        return "\(title): \(place), \(String(format: "%.1f", rate)) a second\(left)"
    }

    private static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        return whole < 60 ? "\(whole) s" : "\(whole / 60) min \(whole % 60) s"
    }
}
