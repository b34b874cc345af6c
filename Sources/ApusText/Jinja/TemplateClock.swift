public import Foundation

/// The date that `strftime_now` shows; fixed in tests, so that a rendering can be repeated.
public struct TemplateClock: Sendable {
    let now: @Sendable () -> Date
    let timeZone: TimeZone

    public init(timeZone: TimeZone = .current, now: @escaping @Sendable () -> Date) {
        self.timeZone = timeZone
        self.now = now
    }

    /// The machine's clock.
    public static let system = TemplateClock { Date() }

    /// A clock that stands still.
    public static func fixed(_ date: Date, timeZone: TimeZone = .gmt) -> TemplateClock {
        TemplateClock(timeZone: timeZone) { date }
    }

    /// A clock that stands still at this one's time, so that all texts made with it show the same date.
    package var stopped: TemplateClock { .fixed(now(), timeZone: timeZone) }

    /// The time on the clock's face as `2026-03-05T08:07:06`, for a run to keep and to come back to.
    package var face: String { Self.faceStyle(timeZone).format(now()) }

    /// A clock that stands still at a time that `face` gave.
    ///
    /// - Returns: nil when the text is no such time.
    package init?(face: String) {
        guard let date = try? Self.faceStyle(.gmt).parse(face) else { return nil }
        self = .fixed(date)
    }

    private static func faceStyle(_ timeZone: TimeZone) -> Date.ISO8601FormatStyle {
        Date.ISO8601FormatStyle(timeZone: timeZone).year().month().day().dateSeparator(.dash)
            .time(includingFractionalSeconds: false).timeSeparator(.colon)
    }

    /// Whether every field of a date in a template is the same for a whole day.
    ///
    /// A template that names no field has its format from elsewhere, and may show anything.
    static func namesDaysAlone(_ template: String) -> Bool {
        let fields = template.matches(of: /(^|[^{])%[-_0^#]?([A-Za-z])/).map(\.2)
        return !fields.isEmpty && fields.allSatisfy { "aAbBCdDeFgGhjmuUVwWxyY".contains($0) }
    }

    /// The current date in C's `strftime` notation, as Python's `datetime.now().strftime(format)`.
    func formatted(_ format: JinjaText) throws -> JinjaText {
        guard format.bytes.count <= 1024, !format.bytes.contains(0) else {
            throw JinjaError.value("strftime_now takes at most 1024 bytes without NUL")
        }
        let date = now()
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = timeZone
        let parts = calendar.dateComponents(
            [.year, .month, .day, .hour, .minute, .second, .nanosecond, .weekday, .dayOfYear], from: date)
        var time = tm()
        time.tm_year = Int32(clamping: (parts.year ?? 1900) - 1900)
        time.tm_mon = Int32(clamping: (parts.month ?? 1) - 1)
        time.tm_mday = Int32(clamping: parts.day ?? 1)
        time.tm_hour = Int32(clamping: parts.hour ?? 0)
        time.tm_min = Int32(clamping: parts.minute ?? 0)
        time.tm_sec = Int32(clamping: parts.second ?? 0)
        time.tm_wday = Int32(clamping: (parts.weekday ?? 1) - 1)
        time.tm_yday = Int32(clamping: (parts.dayOfYear ?? 1) - 1)
        time.tm_isdst = -1
        // Python fills these in itself: the zone of a naive date is empty.
        let microseconds = String((parts.nanosecond ?? 0) / 1000)
        let pattern = Self.replacingPythonFields(
            format.string, microseconds: String(repeating: "0", count: max(6 - microseconds.count, 0)) + microseconds)
        // A leading character, because an empty result cannot be told from a buffer that is too small.
        var buffer = [CChar](repeating: 0, count: 1 << 16)
        let length = strftime(&buffer, buffer.count, "x" + pattern, &time)
        guard length > 0 else { throw JinjaError.value("strftime_now: the date does not fit") }
        return JinjaText(buffer[1..<length].map { UInt8(bitPattern: $0) })
    }

    private static func replacingPythonFields(_ format: String, microseconds: String) -> String {
        var result = ""
        var characters = format.unicodeScalars.makeIterator()
        while let scalar = characters.next() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            switch characters.next() {
            case "f": result += microseconds
            case "z", "Z": break
            case let field?: result.unicodeScalars.append(contentsOf: ["%", field])
            case nil: result += "%"
            }
        }
        return result
    }
}
