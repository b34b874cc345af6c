import Foundation
import Testing

@testable import ApusMetrics

/// Answers beside the wanted ones, against rouge_score and torchmetrics (Scripts/fixtures/make_answer_metrics.py).
struct AnswerMetricsTests {
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let pairs: [[String]]
        let expected: [String: Double]

        var testDescription: String { name }

        static let all: [Case] = {
            struct File: Decodable { let cases: [Case] }
            let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "Fixtures/answers/answers.json")
            return (try? JSONDecoder().decode(File.self, from: Data(contentsOf: url)))?.cases ?? []
        }()
    }

    @Test func fixtureIsThere() { #expect(Case.all.count > 10) }

    @Test(arguments: Case.all) func metricsAreTheirs(_ test: Case) throws {
        let values = try AnswerMetrics(test.pairs.map { ($0[0], $0[1]) }).values
        #expect(values.map(\.name) == AnswerMetrics.names)
        for (name, value) in values {
            let expected = try #require(test.expected[name]) * (AnswerMetrics.inPercent.contains(name) ? 100 : 1)
            #expect(abs(value - expected) <= 1e-7, "\(name): \(value) instead of \(expected)")
        }
    }

    /// What rouge_score leaves out: letters beyond z, and scripts without spaces.
    @Test func otherScripts() throws {
        #expect(AnswerMetrics.words("Café, naïve! 北京 2024") == ["café", "naïve", "北", "京", "2024"])
        let values = try AnswerMetrics([("北京大学", "北京")]).values
        let rouge = try #require(values.first { $0.name == "rouge-1" }).value
        #expect(abs(rouge - 100 * 2 * 0.5 / 1.5) < 1e-10)
    }

    @Test func noRows() { #expect(throws: MetricError.self) { try AnswerMetrics([]) } }
}
