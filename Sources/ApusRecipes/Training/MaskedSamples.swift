import ApusDatasets
import ApusLanguageModel
import ApusRunLog
import ApusText
import ApusTraining
import Foundation

extension TrainingSamples {
    /// Texts of which some tokens are hidden and learned.
    init(masked settings: SFTSettings, text: TextParts, model: MaskedLanguageModel, console: Console) throws {
        let tokenizer = text.tokenizer
        guard let mask = tokenizer.maskTokenID else {
            throw ModelError(
                "--task_type mlm: the tokenizer of \(settings.model) has no mask token. Give a BERT or RoBERTa.")
        }
        var options = LabelledRecognizer.Options()
        options.columns = settings.columns
        options.requiresLabel = false
        let rows = try DatasetLoader(settings).load(
            settings.dataset, validation: settings.valDataset, as: LabelledRecognizer(options))
        console.print(rows.report.text)
        let encoder = SequenceEncoder(settings, text: text, model: model)
        let special = Set(tokenizer.specialTokens.compactMap(tokenizer.id))
        func masked(_ data: ScoredDataset) -> MaskedTokens {
            MaskedTokens(
                data, mask: mask, special: special, vocabulary: tokenizer.vocabularySize,
                share: settings.mlmProbability)
        }
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                scheme: nil, maximumLength: encoder.limit, strategy: settings.truncationStrategy,
                isStrict: settings.strict, threads: settings.datasetNumProc, progress: progress
            ) { row in
                let encoded = try encoder.encode(row)
                guard !encoded.ids.allSatisfy(special.contains) else {
                    throw RowRejection("no token that can be hidden")
                }
                return encoded
            }
            return (result.dataset, result.report)
        }
        let data = train.0
        self.init(
            rows: rows, isSplit: settings.valDataset.isEmpty && settings.splitDatasetRatio > 0,
            train: (masked(data), train.1), validation: validation.map { (masked($0.0), $0.1) },
            empty: masked(ScoredDataset()), row: { data.rows[$0] }, bytes: data.withBytes)
        let first = masked(data).batch([0], draw: 0)
        console.print(
            "first sample:\n[INPUT] \(tokenizer.decode(first.tokens))\n"
                + "[LABELS] \(first.targets.labels.map { tokenizer.decode([$0]) })")
    }
}
