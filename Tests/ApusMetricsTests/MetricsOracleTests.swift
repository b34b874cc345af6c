import Foundation
import Testing

@testable import ApusMetrics

@Suite("Metrics equal SciPy's and scikit-learn's") struct MetricsOracleTests {
    @Test func fixtureIsThere() throws {
        let fixture = try #require(MetricsFixture.shared)
        #expect(fixture.regression.count > 10 && fixture.classification.count > 10)
    }

    @Test(arguments: MetricsFixture.shared?.regression ?? [])
    func regression(_ fixture: MetricsFixture.Case) throws {
        let metrics = try RegressionMetrics(
            predictions: #require(fixture.predictions), labels: #require(fixture.labels).rows)
        expect(metrics.values, RegressionMetrics.names, equal: fixture)
    }

    @Test(arguments: MetricsFixture.shared?.classification ?? [])
    func classification(_ fixture: MetricsFixture.Case) throws {
        let metrics = try ClassificationMetrics(
            scores: #require(fixture.scores), labels: #require(fixture.labels).single.map { Int($0) })
        expect(metrics.values, ClassificationMetrics.names, equal: fixture)
        #expect(metrics.confusionMatrix == fixture.confusion)
        for (id, expected) in try #require(fixture.perClass).enumerated() {
            let scores = metrics.counts.scores(id)
            let ours = [scores.precision, scores.recall, scores.f1, Double(metrics.counts.support[id])]
            #expect(zip(ours, expected).allSatisfy(agrees), "class \(id): \(ours) instead of \(expected)")
        }
    }

    @Test(arguments: MetricsFixture.shared?.multiLabel ?? [])
    func multiLabel(_ fixture: MetricsFixture.Case) throws {
        let metrics = try MultiLabelMetrics(logits: #require(fixture.logits), labels: #require(fixture.labels).rows)
        expect(metrics.values, MultiLabelMetrics.names, equal: fixture)
    }

    @Test(arguments: MetricsFixture.shared?.embedding ?? [])
    func embedding(_ fixture: MetricsFixture.Case) throws {
        let metrics = try EmbeddingMetrics(
            left: #require(fixture.left), right: #require(fixture.right), labels: #require(fixture.labels).single)
        expect(metrics.values, EmbeddingMetrics.names, equal: fixture)
    }

    @Test(arguments: MetricsFixture.shared?.reranker ?? [])
    func reranker(_ fixture: MetricsFixture.Case) throws {
        let groups = try #require(fixture.groups).map { Array(zip($0.scores, $0.relevance)) }
        expect(try RerankerMetrics(groups: groups).values, RerankerMetrics.names, equal: fixture)
    }
}
