import ApusJSON
import Foundation
import Testing

@testable import ApusRunLog

@Suite struct FormatTests {
    @Test(arguments: [
        (0, "0s"), (14.9, "14s"), (1736, "28m 56s"), (29281, "8h 8m 1s"), (93784, "1d 2h 3m 4s"),
        (86400, "1d 0h 0m 0s"),
        (-3, "0s"), (Double.nan, "0s"), (Double.infinity, "0s"),
    ])
    func words(_ seconds: Double, _ text: String) {
        #expect(DurationFormat.words(seconds) == text)
    }

    @Test(arguments: [(70, "01:10"), (0.4, "00:00"), (3723, "1:02:03"), (360_000, "100:00:00")])
    func clock(_ seconds: Double, _ text: String) {
        #expect(DurationFormat.clock(seconds) == text)
    }

    /// The right-hand sides are Python's `round(value, digits)`.
    @Test(arguments: [
        (0.123456785, 8, 0.12345678), (2.675, 2, 2.67), (5e-9, 8, 1e-8), (1.5e-8, 8, 1e-8), (1e-9, 8, 0),
        (123456.123456785, 8, 123456.12345679), (1e300, 8, 1e300), (9.6e-5, 8, 9.6e-5),
    ])
    func rounding(_ value: Double, _ digits: Int, _ rounded: Double) {
        #expect(LogValue.rounded(value, digits: digits) == rounded)
    }

    @Test func consoleLinesArePythonDictionaries() {
        let row: JSONObject = ["loss": 1.5, "lr": 1e-5, "n": 3, "a/b": "5/100", "x": .double(.nan), "y": .null]
        #expect(
            LogValue.consoleLine(row) == "{'loss': 1.5, 'lr': 1e-05, 'n': 3, 'a/b': '5/100', 'x': nan, 'y': None}")
    }

    @Test func averagesStartWithoutBias() throws {
        var average = MovingAverage(decay: 0.9)
        #expect(average.value == nil)
        average.add(2)
        #expect(try #require(average.value) == 2)
        average.add(4)
        let expected = 0.58 / 0.19  // (0.9·0.1·2 + 0.1·4) / (1 − 0.9²)
        #expect(abs(try #require(average.value) - expected) < 1e-12)
    }

    @Test func memoryIsRead() throws {
        let current = try #require(ResidentMemory.current)
        let peak = try #require(ResidentMemory.peak)
        #expect(current > 1 << 20 && peak >= 1 << 20)
        #expect(current < 1 << 40 && peak < 1 << 40)
    }
}
