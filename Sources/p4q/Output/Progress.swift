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
    mutating func update(_ count: Int) { update(count, of: total) }

    /// The same, where the total is known only now.
    mutating func update(_ count: Int, of total: Int?) {
        guard isShown, ContinuousClock.now - shown > .milliseconds(100) else { return }
        shown = .now
        FileHandle.standardError.write(Data("\r\u{1B}[K\(text(count, of: total))".utf8))
    }

    /// Leaves the last count on a line of its own.
    func finish(_ count: Int) {
        if isShown { FileHandle.standardError.write(Data("\r\u{1B}[K\(text(count, of: total))\n".utf8)) }
    }

    /// Leaves nothing.
    func end() {
        if isShown { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
    }

    private func text(_ count: Int, of total: Int?) -> String {
        let elapsed = ContinuousClock.now - start
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
        let rate = seconds > 0 ? Double(count) / seconds : 0
        let place = total.map { "\(count) of \($0)" } ?? "\(count)"
        return "\(title): \(place), \(String(format: "%.1f", rate)) a second\(Self.left(count, total, rate: rate))"
    }

    /// As ", 1:05 left".
    private static func left(_ count: Int, _ total: Int?, rate: Double) -> String {
        guard let total, total > count, rate > 0 else { return "" }
        let seconds = Int((Double(total - count) / rate).rounded(.up))
        return ", \(seconds / 60):\(seconds % 60 < 10 ? "0" : "")\(seconds % 60) left"
    }
}
