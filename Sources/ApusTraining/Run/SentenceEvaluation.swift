package import ApusLanguageModel
import ApusMetrics
import ApusRunLog
import ApusTorch
import Foundation

/// Collects the vectors of pairs with a label: how well their likeness follows the labels, and a picture of that.
package struct SentenceEvaluation: Evaluation {
    private var left: [[Double]] = []
    private var right: [[Double]] = []
    private var labels: [Double] = []

    package init() {}

    package var count: Int { labels.count }

    package mutating func add(_ part: MicroLoss, _ batch: TokenBatch) throws {
        guard let outputs = part.outputs, case .groups(let groups) = batch.labels,
            groups.contains(where: { $0.label != nil })
        else { return }
        let vectors = try outputs.rows()
        for (group, start) in zip(groups, SequenceGroup.starts(groups)) where group.positives > 0 {
            guard let label = group.label else { continue }
            add(vectors[Int(start)], vectors[Int(start) + 1], label: Double(label))
        }
    }

    package mutating func add(_ first: [Double], _ second: [Double], label: Double) {
        left.append(first)
        right.append(second)
        labels.append(label)
    }

    package func metrics() throws -> [(name: String, value: Double)] {
        labels.isEmpty ? [] : try EmbeddingMetrics(left: left, right: right, labels: labels).values
    }

    /// `scatter.png`, the cosine of each pair against its label.
    package func draw(to folder: String) throws {
        guard !labels.isEmpty else { return }
        let plot = ScatterPlot(
            title: "cosine against label", labels: labels,
            predictions: zip(left, right).map { EmbeddingMetrics.Likeness.cosine($0, $1) },
            metrics: Array(try metrics().prefix(2)))
        guard let bytes = plot.png() else { return }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/scatter.png"), options: .atomic)
    }
}

/// Collects the scores of documents by their question: how high the relevant ones come.
package struct RerankerEvaluation: Evaluation {
    private var questions: [Int32] = []
    private var groups: [Int32: [RerankerMetrics.Document]] = [:]

    package init() {}

    /// The questions that have both relevant documents and others.
    package var count: Int { measured.count }

    /// Their documents.
    ///
    /// For the rest no order is wrong, and as in ms-swift they are left out.
    private var measured: [[RerankerMetrics.Document]] {
        questions.compactMap { question in
            guard let group = groups[question], group.contains(where: { $0.relevance > 0 }),
                group.contains(where: { $0.relevance == 0 })
            else { return nil }
            return group
        }
    }

    package mutating func add(_ part: MicroLoss, _ batch: TokenBatch) throws {
        guard let outputs = part.outputs, case .groups(let groups) = batch.labels else { return }
        let scores = try outputs.rows().map { $0[0] }
        for (group, start) in zip(groups, SequenceGroup.starts(groups)) {
            for (index, relevance) in group.relevances.enumerated() {
                add(scores[Int(start) + index], relevance: Double(relevance), question: group.question)
            }
        }
    }

    package mutating func add(_ score: Double, relevance: Double, question: Int32) {
        if groups[question] == nil { questions.append(question) }
        groups[question, default: []].append((score, relevance))
    }

    /// No numbers where nothing can be measured.
    package func metrics() throws -> [(name: String, value: Double)] {
        let groups = measured
        return try groups.isEmpty ? RerankerMetrics.names.map { ($0, .nan) } : RerankerMetrics(groups: groups).values
    }

    package func draw(to folder: String) {}
}
