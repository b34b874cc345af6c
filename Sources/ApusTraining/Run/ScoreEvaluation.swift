package import ApusDatasets
package import ApusLanguageModel
import ApusMetrics
import ApusRunLog
import ApusTorch
import Foundation

/// Collects scores and labels of whole sequences: the metrics of regression or classification, and a picture of them.
package struct ScoreEvaluation: Evaluation {
    private let problem: ProblemType
    private let classNames: [String]
    private var scores: [[Double]] = []
    private var values: [[Double]] = []
    private var classes: [Int] = []

    package init(_ problem: ProblemType, classNames: [String]) {
        self.problem = problem
        self.classNames = classNames
    }

    package var count: Int { scores.count }

    package mutating func add(_ part: MicroLoss, _ batch: TokenBatch) throws {
        guard let outputs = part.outputs else { return }
        add(scores: try outputs.rows(), batch.labels)
    }

    package mutating func add(scores: [[Double]], _ labels: SequenceLabels) {
        self.scores += scores
        switch labels {
        case .classes(let ids): classes += ids.map(Int.init)
        case .values(let numbers, let width):
            values += stride(from: 0, to: numbers.count, by: width).map { numbers[$0..<$0 + width].map(Double.init) }
        case .groups, .none: break
        }
    }

    package func metrics() throws -> [(name: String, value: Double)] {
        switch problem {
        case .regression: try RegressionMetrics(predictions: scores, labels: values).values
        case .singleLabel: try ClassificationMetrics(scores: scores, labels: classes).values
        case .multiLabel: try MultiLabelMetrics(logits: scores, labels: values).values
        }
    }

    /// Precision, recall and F1 of each class; nil where there is no one class per row, or more than can be read.
    package func table() throws -> String? {
        guard problem == .singleLabel, names.count <= Self.readableClassCount else { return nil }
        return try ClassificationMetrics(scores: scores, labels: classes).table(names: names)
    }

    /// More make no picture and no table that can be read.
    private static let readableClassCount = 1000

    private var names: [String] {
        classNames.isEmpty ? (0..<(scores.first?.count ?? 0)).map(String.init) : classNames
    }

    /// `scatter.png`, prediction against label, or `confusion_matrix.png`.
    package func draw(to folder: String) throws {
        var picture: (name: String, bytes: [UInt8]?)?
        switch problem {
        case .regression:
            guard scores.first?.count == 1 else { return }
            let plot = ScatterPlot(
                title: "prediction against label", labels: values.map { $0[0] }, predictions: scores.map { $0[0] },
                metrics: try metrics())
            picture = ("scatter.png", plot.png())
        case .singleLabel:
            guard names.count <= Self.readableClassCount else { return }
            let counts = try ClassificationMetrics(scores: scores, labels: classes).confusionMatrix
            picture = ("confusion_matrix.png", ConfusionMatrixPlot(title: "", counts: counts, names: names).png())
        case .multiLabel: return
        }
        guard let picture, let bytes = picture.bytes else { return }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(picture.name)"), options: .atomic)
    }
}

extension Tensor {
    /// The rows of [N, L] as numbers.
    package func rows() throws -> [[Double]] {
        let flat: [Float] = try detached().to(.float32).values()
        let width = shape[1]
        return (0..<shape[0]).map { flat[$0 * width..<($0 + 1) * width].map(Double.init) }
    }
}
