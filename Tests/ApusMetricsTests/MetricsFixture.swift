import Foundation
import Testing

@testable import ApusMetrics

/// What SciPy and scikit-learn say (Scripts/fixtures/make_metrics.py).
struct MetricsFixture: Decodable {
    /// One case, with the fields of its task; a missing number is NaN.
    struct Case: Decodable, CustomTestStringConvertible, Sendable {
        struct Group: Decodable, Sendable {
            let scores: [Double]
            let relevance: [Double]
        }

        let name: String
        let expected: [String: Double?]
        let predictions: [[Double]]?
        let scores: [[Double]]?
        let logits: [[Double]]?
        let left: [[Double]]?
        let right: [[Double]]?
        let groups: [Group]?
        let labels: Labels?
        let perClass: [[Double]]?
        let confusion: [[Int]]?

        var testDescription: String { name }
    }

    /// A label for each row, or several.
    struct Labels: Decodable, Sendable {
        let rows: [[Double]]
        var single: [Double] { rows.compactMap(\.first) }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let rows = try? container.decode([[Double]].self) {
                self.rows = rows
            } else {
                rows = try container.decode([Double].self).map { [$0] }
            }
        }
    }

    let regression: [Case]
    let classification: [Case]
    let multiLabel: [Case]
    let embedding: [Case]
    let reranker: [Case]

    static let shared: MetricsFixture? = {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/metrics/metrics.json")
        return try? JSONDecoder().decode(MetricsFixture.self, from: Data(contentsOf: url))
    }()
}

/// Whether both numbers are NaN, or their relative difference is at most 1e-9.
func agrees(_ ours: Double, _ theirs: Double) -> Bool {
    if ours.isNaN || theirs.isNaN { return ours.isNaN && theirs.isNaN }
    return ours == theirs || (ours - theirs).magnitude <= 1e-9 * theirs.magnitude
}

/// Expects every metric of a case, in order and with its value.
func expect(_ values: [MetricValue], _ names: [String], equal fixture: MetricsFixture.Case) {
    #expect(values.map(\.name) == names)
    #expect(Set(names) == Set(fixture.expected.keys))
    for (name, value) in values {
        let expected = (fixture.expected[name] ?? nil) ?? .nan
        #expect(agrees(value, expected), "\(fixture.name), \(name): \(value) instead of \(expected)")
    }
}
