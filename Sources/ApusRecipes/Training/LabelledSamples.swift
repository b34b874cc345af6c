import ApusDatasets
import ApusLanguageModel
import ApusRunLog
import ApusText
import Foundation

extension TrainingSamples {
    /// Texts with labels.
    init(
        labelled rows: LoadedRows<LabelledRecognizer>, scheme: LabelScheme, settings: SFTSettings, text: TextParts,
        model: any TextModel, console: Console
    ) throws {
        let encoder = SequenceEncoder(settings, text: text, model: model)
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                scheme: scheme, maximumLength: encoder.limit, strategy: settings.truncationStrategy,
                isStrict: settings.strict, threads: settings.datasetNumProc, progress: progress,
                encode: encoder.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        self.init(
            rows: rows, isSplit: settings.valDataset.isEmpty && settings.splitDatasetRatio > 0, train: train,
            validation: validation, empty: ScoredDataset(), row: { data.rows[$0] }, bytes: data.withBytes)
        let first = data.sample(0)
        console.print(
            "first sample:\n[INPUT_IDS] \(first.ids)\n[INPUT] \(text.tokenizer.decode(first.ids))\n"
                + "[LABEL] \(first.target.map(scheme.shown) ?? "none")")
    }
}

extension LabelScheme {
    /// A target as a person reads it.
    func shown(_ target: LabelTarget) -> String {
        switch target {
        case .classID(let id): map.map { "\(id) (\($0.names[Int(id)]))" } ?? "\(id)"
        case .values(let values): values.count == 1 ? "\(values[0])" : "\(values)"
        }
    }

    /// What a run says of its labels.
    var text: String {
        "problem_type: \(problemType.rawValue), num_labels: \(labelCount)"
            + (format == .multiHot ? ", labels are lists of 0 or 1 for each class" : "")
            + (map.map { "\nlabels: \($0)" } ?? "")
    }
}
