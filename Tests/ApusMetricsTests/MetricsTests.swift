import Foundation
import Testing

@testable import ApusMetrics

@Suite struct MetricsTests {
    private func isAllNaN(_ values: [MetricValue]) -> Bool { values.allSatisfy(\.value.isNaN) }

    @Test func noNaNIsHidden() throws {
        #expect(isAllNaN(try RegressionMetrics(predictions: [[1], [.nan], [2]], labels: [[1], [2], [3]]).values))
        #expect(isAllNaN(try RegressionMetrics(predictions: [[1], [5], [2]], labels: [[1], [.nan], [3]]).values))
        // A NaN in one output is not averaged away by the other; nor by constant labels.
        #expect(
            isAllNaN(try RegressionMetrics(predictions: [[1, .nan], [2, 2]], labels: [[1, 1], [2, 2]]).values))
        #expect(try RegressionMetrics(predictions: [[.nan], [2]], labels: [[1], [1]]).r2.isNaN)

        let scores = [[0.1, 0.2], [.nan, 1], [1, .nan], [2, 1]]
        let classes = try ClassificationMetrics(scores: scores, labels: [0, 0, 1, 1])
        #expect(isAllNaN(classes.values))
        #expect(classes.predictions == [1, nil, nil, 0])
        #expect(classes.confusionMatrix == [[0, 1], [1, 0]])
        #expect(classes.table(names: []).hasSuffix("2 of 4 rows have a NaN score and are not counted."))

        #expect(isAllNaN(try MultiLabelMetrics(logits: [[1], [.nan]], labels: [[1], [0]]).values))
        #expect(
            isAllNaN(
                try EmbeddingMetrics(left: [[1], [.nan], [3]], right: [[1], [2], [4]], labels: [1, 2, 3]).values))
        #expect(isAllNaN(try RerankerMetrics(groups: [[(.nan, 1), (2, 0)], [(1, 1)]]).values))
        #expect(isAllNaN(try RerankerMetrics(groups: [[(.nan, 0), (2, 0)]]).values))
    }

    @Test func infinityShows() throws {
        let metrics = try RegressionMetrics(predictions: [[1], [.infinity], [2]], labels: [[1], [2], [3]])
        #expect(metrics.mse == .infinity && metrics.mae == .infinity && metrics.r2 == -.infinity)
        #expect(metrics.pearson.isNaN && agrees(metrics.spearman, 0.5))
        #expect(AreaUnderROC.binary([-.infinity, 0, .infinity], isPositive: [false, false, true]) == 1)
    }

    @Test func rowsThatDoNotFitAreRefused() {
        #expect(throws: MetricError.self) { try RegressionMetrics(predictions: [], labels: []) }
        #expect(throws: MetricError.self) { try RegressionMetrics(predictions: [[1]], labels: [[1], [2]]) }
        #expect(throws: MetricError.self) { try RegressionMetrics(predictions: [[1, 2]], labels: [[1]]) }
        #expect(throws: MetricError.self) { try RegressionMetrics(predictions: [[]], labels: [[]]) }
        #expect(throws: MetricError.self) { try ClassificationMetrics(scores: [[1, 2]], labels: [2]) }
        #expect(throws: MetricError.self) { try ClassificationMetrics(scores: [[1, 2]], labels: [-1]) }
        #expect(throws: MetricError.self) { try ClassificationMetrics(scores: [[1, 2], [1]], labels: [0, 0]) }
        #expect(throws: MetricError.self) { try MultiLabelMetrics(logits: [[1]], labels: [[0.5]]) }
        #expect(throws: MetricError.self) { try MultiLabelMetrics(logits: [[1]], labels: [[.nan]]) }
        #expect(throws: MetricError.self) { try EmbeddingMetrics(left: [[1]], right: [[1, 2]], labels: [1]) }
        #expect(throws: MetricError.self) { try RerankerMetrics(groups: []) }
        #expect(throws: MetricError.self) { try RerankerMetrics(groups: [[]]) }
        #expect(throws: MetricError.self) { try RerankerMetrics(groups: [[(1, -1)]]) }
        let message = #"classification: the label of row 0 is 2, but there are scores for the classes 0 to 1; "#
        #expect { try ClassificationMetrics(scores: [[1, 2]], labels: [2]) } throws: {
            "\($0)" == message + "is num_labels right?"
        }
    }

    @Test(arguments: [
        RegressionMetrics.names, ClassificationMetrics.names, MultiLabelMetrics.names, EmbeddingMetrics.names,
        RerankerMetrics.names,
    ])
    func namesAreUnique(names: [String]) {
        #expect(Set(names).count == names.count)
    }

    /// Of the metrics only errors measure mistakes.
    @Test func mistakesAreKnown() {
        #expect(RegressionMetrics.names.filter(MetricNames.measureMistakes.contains) == ["mse", "rmse", "mae"])
        let merits =
            ClassificationMetrics.names + MultiLabelMetrics.names + EmbeddingMetrics.names + RerankerMetrics.names
        #expect(MetricNames.measureMistakes.isDisjoint(with: merits))
        // What keeps a model near its teacher or its reference measures a distance.
        #expect(MetricNames.measureMistakes.isSuperset(of: ["loss", "jsd", "kl", "objective/kl", "nll_loss"]))
    }

    @Test func tableIsAligned() throws {
        let metrics = try ClassificationMetrics(
            scores: [[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]], labels: [0, 1, 1, 1])
        let expected = """
            class             precision  recall      f1  support
            good                 0.5000  1.0000  0.6667        1
            不好                 1.0000  0.6667  0.8000        3
            2                    0.0000  0.0000  0.0000        0

            macro average        0.7500  0.8333  0.7333        4
            weighted average     0.8750  0.7500  0.7667        4
            """
        #expect(metrics.table(names: ["good", "不好"]) == expected)
        let long = metrics.table(names: [String(repeating: "评论\n", count: 99)]).split(separator: "\n")
        #expect(Set(long.prefix(4).map { TextColumns.width(String($0)) }) == [76])
    }

    @Test func manyRowsAreFine() throws {
        var state: UInt64 = 1
        let values = (0..<200_000).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / Double(1 << 53)
        }
        let clock = ContinuousClock()
        let time = try clock.measure {
            let labels = values.map { [($0 * 100).rounded()] }
            let regression = try RegressionMetrics(predictions: values.map { [$0 * 100] }, labels: labels)
            #expect(regression.pearson > 0.99)
            let classes = values.map { $0 > 0.5 ? 1 : 0 }
            let classification = try ClassificationMetrics(scores: values.map { [0, $0] }, labels: classes)
            #expect(classification.auroc == 1)
        }
        // Seconds, also without optimisation; a quadratic sort or count would take hours.
        #expect(time < .seconds(120))
    }
}
