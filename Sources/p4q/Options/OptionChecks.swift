import ArgumentParser

/// Refuses a time that is no number, not positive, or longer than a clock can add up.
func checkSeconds(_ option: String, _ seconds: Double) throws {
    guard seconds > 0, seconds <= 31_536_000 else {
        throw ValidationError("\(option) \(seconds): seconds are more than 0, and at most a year's")
    }
}

/// Refuses a number of things that no memory holds.
func checkCount(_ option: String, _ count: Int, most: Int) throws {
    guard (1...most).contains(count) else { throw ValidationError("\(option) \(count): from 1 to \(most)") }
}
