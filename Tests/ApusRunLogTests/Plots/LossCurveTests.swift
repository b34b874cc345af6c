import Foundation
import Testing

@testable import ApusRunLog

@Suite struct LossCurveTests {
    /// Widths and heights lie in the PNG's first chunk.
    static func size(of png: [UInt8]) -> [Int] {
        guard png.count > 24, png.starts(with: [0x89, 0x50, 0x4E, 0x47]) else { return [] }
        return [16, 20].map { start in png[start..<start + 4].reduce(0) { $0 << 8 | Int($1) } }
    }

    static let awkward: [[LossCurve.Sample]] = [
        [], [(1, 2)], [(1, .nan)], [(1, .infinity), (2, .nan)], [(1, 5), (2, 5)], [(0, 0), (1, 0)],
        [(1, 1e300), (2, 1)], [(1, .leastNonzeroMagnitude), (2, 0)], [(1, -1e99), (2, 1e99)],
        [(1, 1), (2, .nan), (3, 2), (4, 3)],
        [(.max, 1), (.min, 2)], [(1, .greatestFiniteMagnitude), (2, -.greatestFiniteMagnitude)],
        (0..<20_000).map { ($0, sin(Double($0))) },
    ]

    @Test(arguments: awkward.indices, [false, true])
    func anyValuesGiveAPicture(_ index: Int, _ isSmoothed: Bool) throws {
        let curve = LossCurve(title: "train/loss", samples: Self.awkward[index], isSmoothed: isSmoothed)
        #expect(Self.size(of: try #require(curve.png())) == [800, 500])
    }

    @Test func marksAreRoundNumbers() {
        let loss = Axis(showing: [0.3, 2.7])
        #expect(loss.ticks.map(loss.label) == ["0.5", "1.0", "1.5", "2.0", "2.5"])
        let rate = Axis(showing: [0, 1e-4])
        #expect(rate.exponent == -4)
        #expect(rate.ticks.map(rate.label) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"])
        let steps = Axis(showing: [1, 3], integers: true)
        #expect(steps.ticks.map(steps.label) == ["1", "2", "3"])
        let negative = Axis(showing: [-1, 1])
        #expect(negative.ticks.map(negative.label) == ["−1.0", "−0.5", "0.0", "0.5", "1.0"])
    }

    @Test func filesAreNamedAfterTags() {
        #expect(LossCurve.fileName(of: "train/loss") == "train_loss.png")
        #expect(LossCurve.fileName(of: "train/train_speed(s/it)") == "train_train_speed(s_it).png")
        #expect(LossCurve.fileName(of: "../x.y") == "___x_y.png")
    }
}
