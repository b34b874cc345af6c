/// How well logits tell which of L labels hold, over N rows: the definitions of `sklearn.metrics`.
///
/// A label is predicted where its logit is at least 0, that is p ≥ 0.5. accuracy is the share of rows with every label
/// right; macro_f1 is the mean over all labels, micro_f1 that of the summed counts; auroc is the mean over labels, NaN
/// where one of them always or never holds. A NaN logit makes every metric NaN.
package struct MultiLabelMetrics: Sendable {
    package static let names = ["accuracy", "macro_f1", "micro_f1", "auroc"]

    package let accuracy: Double
    package let macroF1: Double
    package let microF1: Double
    package let auroc: Double
    /// Counts of each label, where no logit is NaN.
    package let counts: ClassCounts

    /// - Parameters:
    ///   - logits: N rows of L.
    ///   - labels: N rows of L, each 0 or 1.
    /// - Throws: `MetricError` when there are no rows, rows do not fit together or a label is neither 0 nor 1.
    package init(logits: [[Double]], labels: [[Double]]) throws {
        try MetricError.checkCounts("multi-label", logits.count, labels.count)
        let width = try MetricError.checkedWidth("multi-label labels", labels)
        _ = try MetricError.checkedWidth("multi-label logits", logits, width: width)

        var counts = ClassCounts(classes: width)
        var (exact, hasNaN) = (0, false)
        for (row, (logits, labels)) in zip(logits, labels).enumerated() {
            var isExact = true
            for index in 0..<width {
                let (logit, label) = (logits[index], labels[index])
                guard label == 0 || label == 1 else {
                    throw MetricError("multi-label: label \(index) of row \(row) is \(label); it must be 0 or 1")
                }
                hasNaN = hasNaN || logit.isNaN
                counts.add(label: index, isTrue: label == 1, isPredicted: logit >= 0)
                isExact = isExact && (label == 1) == (logit >= 0)
            }
            if isExact { exact += 1 }
        }
        self.counts = counts
        accuracy = hasNaN ? .nan : Double(exact) / Double(labels.count)
        macroF1 = hasNaN ? .nan : counts.macro(onlySeen: false).f1
        microF1 = hasNaN ? .nan : counts.micro.f1
        // Ranked by logit: the sigmoid keeps the order, but would merge large logits.
        let areas = (0..<width).map { index in
            AreaUnderROC.binary(logits.map { $0[index] }, isPositive: labels.map { $0[index] == 1 })
        }
        auroc = areas.reduce(0, +) / Double(width)
    }

    package var values: [MetricValue] {
        Array(zip(Self.names, [accuracy, macroF1, microF1, auroc]))
    }
}
