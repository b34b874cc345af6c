/// Spans of time as logs and progress bars print them.
enum DurationFormat {
    /// ms-swift's form: `1d 2h 3m 4s`, `8h 8m 1s`, `28m 56s`, `14s`; fractions of a second are dropped.
    static func words(_ seconds: Double) -> String {
        let total = wholeSeconds(seconds)
        let parts = [(total / 86400, "d"), (total / 3600 % 24, "h"), (total / 60 % 60, "m"), (total % 60, "s")]
        let first = parts.firstIndex { $0.0 > 0 } ?? 3
        return parts[first...].map { "\($0.0)\($0.1)" }.joined(separator: " ")
    }

    /// tqdm's form: `01:10`, `1:02:03`.
    static func clock(_ seconds: Double) -> String {
        let total = wholeSeconds(seconds)
        let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60)
        return (hours > 0 ? "\(hours):" : "") + twoDigits(minutes) + ":" + twoDigits(rest)
    }

    static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// Negative and non-finite spans count as nothing; a clock that went back is no reason to stop.
    private static func wholeSeconds(_ seconds: Double) -> Int {
        guard seconds > 0, seconds < 1e15 else { return 0 }
        return Int(seconds)
    }
}
