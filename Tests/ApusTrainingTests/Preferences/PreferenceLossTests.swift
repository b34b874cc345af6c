import Foundation
import Testing

@testable import ApusJSON
@testable import ApusTraining

/// Losses of preferences and their derivatives against float64 autograd (Scripts/fixtures/make_preferences.py).
struct PreferenceLossTests {
    private let json: JSONValue

    init() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Fixtures/preferences/losses.json")
        json = try JSONValue(parsing: Data(contentsOf: file))
    }

    private func numbers(_ value: JSONValue?) -> [Double] { (value?.arrayValue ?? []).compactMap(\.doubleValue) }

    private func scores(referenced: Bool) -> [PairScore] {
        func rows(_ name: String) -> [[Double]] { (json["tokens"]?[name]?.arrayValue ?? []).map { numbers($0) } }
        func sum(_ name: String, _ index: Int) -> Double { rows(name)[index].reduce(0, +) }
        return (0..<4).map { index in
            PairScore(
                chosen: sum("chosen", index), rejected: sum("rejected", index),
                chosenReference: referenced ? sum("chosenReference", index) : 0,
                rejectedReference: referenced ? sum("rejectedReference", index) : 0,
                chosenCount: rows("chosen")[index].count, rejectedCount: rows("rejected")[index].count)
        }
    }

    private func distance(_ a: [Double], _ b: [Double]) -> Double {
        a.count == b.count ? zip(a, b).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? .nan : .infinity
    }

    @Test func everyPairLossAndItsDerivative() throws {
        let cases = try #require(json["pairs"]?.arrayValue)
        var seen: Set<PairLoss> = []
        for one in cases {
            let kind = try #require(one["kind"]?.stringValue)
            let name = kind.hasPrefix("cpo ") ? String(kind.dropFirst(4)) : kind
            let loss = try #require(PairLoss.allCases.first { "\($0)" == name })
            func option(_ name: String) -> Double { one[name]?.doubleValue ?? .nan }
            let alpha = one["alpha"]?.doubleValue ?? 0
            let shape: ScoreShape? =
                switch one["shape"]?.stringValue {
                case nil: .plain
                case "forwardKL": .forwardKL
                case "jensenShannon": .jensenShannon
                case "alpha": .alpha(alpha)
                case "power": .power(alpha)
                default: nil
                }
            let losses = loss.losses(
                scores(referenced: !kind.hasPrefix("cpo ")),
                PairLossOptions(
                    beta: option("beta"), labelSmoothing: option("eps"), discopopTau: option("tau"),
                    margin: option("gamma"), shape: try #require(shape)), delta: option("delta"))
            #expect(distance(losses.values, numbers(one["values"])) <= 1e-12, "\(one)")
            #expect(distance(losses.chosen, numbers(one["gradChosen"])) <= 1e-12, "\(one)")
            #expect(distance(losses.rejected, numbers(one["gradRejected"])) <= 1e-12, "\(one)")
            seen.insert(loss)
        }
        #expect(seen == Set(PairLoss.allCases))
    }

    @Test func judgedAnswers() throws {
        let pairs = scores(referenced: true)
        for one in try #require(json["judged"]?.arrayValue) {
            let loss = JudgedLoss(
                beta: one["beta"]?.doubleValue ?? .nan, undesirableWeight: one["undesirableWeight"]?.doubleValue ?? .nan
            )
            let zero = one["zero"]?.doubleValue ?? .nan
            let good = pairs.map { loss.loss(gain: $0.chosenGain, isGood: true, zero: zero) }
            let bad = pairs.map { loss.loss(gain: $0.rejectedGain, isGood: false, zero: zero) }
            #expect(distance(good.map(\.value), numbers(one["good"])) <= 1e-12)
            #expect(distance(bad.map(\.value), numbers(one["bad"])) <= 1e-12)
            #expect(distance(good.map(\.slope), numbers(one["gradGood"])) <= 1e-12)
            #expect(distance(bad.map(\.slope), numbers(one["gradBad"])) <= 1e-12)
        }
    }

    @Test func rewards() throws {
        for one in try #require(json["rewards"]?.arrayValue) {
            let loss = RewardLoss(centerCoefficient: one["center"]?.doubleValue)
            let (chosen, rejected) = (numbers(one["chosen"]), numbers(one["rejected"]))
            let margins = numbers(one["margins"])
            let made = (0..<4).map { loss.loss(chosen: chosen[$0], rejected: rejected[$0], margin: margins[$0]) }
            #expect(distance(made.map(\.value), numbers(one["values"])) <= 1e-12)
            #expect(distance(made.map(\.chosen), numbers(one["gradChosen"])) <= 1e-12)
            #expect(distance(made.map(\.rejected), numbers(one["gradRejected"])) <= 1e-12)
        }
    }

    /// Exponentials of scores far away are cut, and α 1 is the plain one.
    @Test(arguments: [ScoreShape.forwardKL, .jensenShannon, .alpha(0.3), .alpha(2), .alpha(1), .power(0.25)])
    func farShapesStayFinite(shape: ScoreShape) {
        for score in [-2e4, -1, 0, 1, 2e4] {
            let (value, slope) = shape(score)
            #expect(value.isFinite && slope.isFinite && slope >= 0)
            if shape == .alpha(1) { #expect(value == score && slope == 1) }
        }
    }

    /// Scores far away leave losses and derivatives finite; an answer of probability 1 has no infinite odds.
    @Test(arguments: PairLoss.allCases) func farScoresStayFinite(loss: PairLoss) {
        let far = [(-2e4, -1.0), (-1.0, -2e4), (0.0, -3.0), (-3.0, 0.0), (0.0, 0.0)].map {
            PairScore(
                chosen: $0.0, rejected: $0.1, chosenReference: -5, rejectedReference: -5, chosenCount: 3,
                rejectedCount: 2)
        }
        let losses = loss.losses(far, PairLossOptions(beta: 0.1, labelSmoothing: loss == .exoPair ? 0.1 : 0))
        // The exponential of discopop grows without bound on pairs that are far the wrong way round, as it is defined.
        let finite = loss == .discopop ? 1..<5 : 0..<5
        for index in finite {
            #expect(losses.values[index].isFinite && losses.chosen[index].isFinite && losses.rejected[index].isFinite)
        }
    }
}
