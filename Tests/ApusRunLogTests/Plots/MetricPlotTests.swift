import Foundation
import Testing

@testable import ApusRunLog

@Suite struct MetricPlotTests {
    private static func size(of png: [UInt8]?) -> [Int] {
        guard let png, png.count > 24, png.starts(with: [0x89, 0x50, 0x4E, 0x47]) else { return [] }
        return [16, 20].map { start in png[start..<start + 4].reduce(0) { $0 << 8 | Int($1) } }
    }

    static let awkward: [(labels: [Double], predictions: [Double])] = [
        ([], []), ([1], [2]), ([.nan], [1]), ([1, 2], [.infinity, .nan]), ([1, 1], [1, 1]),
        ([1, 2, 3], [0.5, 0.5, 0.5]),
        ([0, 1e300], [1, 2]), ([-1e99, 1e99], [1e99, -1e99]), ([0, .leastNonzeroMagnitude], [0, 1e-300]),
        ((0..<5000).map { sin(Double($0)) }, (0..<5000).map { cos(Double($0)) }),
        (Array(repeating: 1, count: 5000), Array(repeating: 1, count: 5000)),
    ]

    @Test(arguments: awkward.indices)
    func anyRowsGiveAPicture(_ index: Int) {
        let (labels, predictions) = Self.awkward[index]
        let plot = ScatterPlot(
            title: "score", labels: labels, predictions: predictions, metrics: [("r2", .nan), ("mse", .infinity)])
        #expect(Self.size(of: plot.png()) == [700, 700])
    }

    @Test(arguments: [0, 1, 2, 7, 50, 51, 300])
    func anyNumberOfClassesGivesAPicture(_ classes: Int) throws {
        let counts = (0..<classes).map { row in (0..<classes).map { $0 == row ? 123_456 : $0 % 7 } }
        let names = ["", "a\nb", "类别", "\u{10FFFF}", String(repeating: "long ", count: 99)]
        let size = Self.size(of: ConfusionMatrixPlot(title: "valid", counts: counts, names: names).png())
        try #require(size.count == 2)
        #expect((260...2100).contains(size[0]) && (260...2100).contains(size[1]))
    }

    @Test func namesAreCutToAWidth() {
        let canvas = Canvas(width: 1, height: 1)
        #expect(canvas.shortened("short", toWidth: 100, size: 12) == "short")
        let cut = canvas.shortened(String(repeating: "w", count: 100_000), toWidth: 100, size: 12)
        #expect(cut.hasSuffix("w…") && canvas.measure(cut, size: 12) <= 100)
        #expect(canvas.measure(cut + "w", size: 12) > 100)
        #expect(canvas.shortened("wide", toWidth: 0, size: 12) == "…")
    }

    @Test func missingGlyphsAreFound() {
        let canvas = Canvas(width: 1, height: 1)
        #expect(canvas.canDraw("plain"))
        #expect(!canvas.canDraw("\u{10FFFF}"))
    }

    @Test func heatGrowsFromWhiteToDark() {
        let shares = stride(from: 0.0, through: 1, by: 0.125).map { HeatColor.color($0) }
        let brightness = shares.map { $0.red + $0.green + $0.blue }
        #expect(brightness.first == 3)
        #expect(zip(brightness, brightness.dropFirst()).allSatisfy { $0 > $1 })
    }
}
