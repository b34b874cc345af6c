import ApusDatasets
import ApusLanguageModel
import ApusRunLog
import ApusText
import ApusTraining
import Foundation

extension SFTSettings {
    /// The loss of vectors that `lossType` names.
    var sentenceLoss: SentenceLoss {
        switch lossType {
        case .contrastive: .contrastive(margin: 0.5)
        case .infoNCE: .infoNCE(temperature: infonceTemperature)
        default: .cosineSimilarity
        }
    }

    /// What that loss reads of a label.
    fileprivate var pairLabel: PairLabel {
        switch lossType {
        case .contrastive: .binary
        case .infoNCE: .none
        default: .score
        }
    }
}

extension TrainingSamples {
    /// Texts with a partner and, by the loss, a label or negatives.
    init(
        sentences settings: SFTSettings, text: TextParts, model: any TextModel, files: SentenceFiles, console: Console
    ) throws {
        var options = EmbeddingRecognizer.Options()
        options.columns = settings.columns
        options.label = settings.pairLabel
        let rows = try DatasetLoader(settings).load(
            settings.dataset, validation: settings.valDataset, as: EmbeddingRecognizer(options))
        console.print(rows.report.text)
        let encoder = SequenceEncoder(settings, text: text, model: model, files: files)
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                maximumLength: encoder.limit, strategy: settings.truncationStrategy,
                isStrict: settings.strict,
                threads: settings.datasetNumProc, progress: progress, encode: encoder.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        if settings.lossType == .infoNCE, settings.perDeviceTrainBatchSize == 1 || data.count == 1,
            !data.indices.contains(where: { data.counts(of: $0).negatives > 0 })
        {
            throw DatasetError(
                "--loss_type infonce: no row has negatives, and a batch of one row brings none, so there is nothing to "
                    + "tell a positive from. Give --per_device_train_batch_size 2 or more.")
        }
        if settings.lossType == .cosineSimilarity {
            let labels = data.indices.compactMap { data.sample($0).label }
            if let least = labels.min(), let most = labels.max(), least < -1 || most > 1 {
                console.print(
                    "labels go from \(least) to \(most), but a cosine only from -1 to 1: bring them there, such as by "
                        + "dividing by \(max(abs(least), abs(most)))")
            }
        }
        self.init(
            rows: rows, isSplit: settings.valDataset.isEmpty && settings.splitDatasetRatio > 0,
            train: (SentenceGroups(data), train.1), validation: validation.map { (SentenceGroups($0.0), $0.1) },
            empty: SentenceGroups(), row: { data.rows[$0] }, bytes: data.withBytes)
        console.print(data.sample(0).shown(by: text.tokenizer))
    }

    /// Questions with documents.
    init(documents settings: SFTSettings, text: TextParts, model: any TextModel, console: Console) throws {
        var options = RerankerRecognizer.Options()
        options.columns = settings.columns
        let rows = try DatasetLoader(settings).load(
            settings.dataset, validation: settings.valDataset, as: RerankerRecognizer(options))
        console.print(rows.report.text)
        let encoder = SequenceEncoder(settings, text: text, model: model)
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                maximumLength: encoder.limit, strategy: settings.truncationStrategy,
                isStrict: settings.strict, threads: settings.datasetNumProc, progress: progress, encode: encoder.encode)
            return (result.dataset, result.report)
        }
        let isListwise = settings.lossType == .listwiseReranker
        let data = train.0
        let groups = try DocumentGroups(data, questions: rows.train.questions(of: data), isListwise: isListwise)
        guard !isListwise || groups.targetCount(Array(data.indices)) > 0 else {
            throw DatasetError(
                "--loss_type listwise_reranker: no row has a positive and a negative document to tell apart. "
                    + "Give rows with both, or --loss_type pointwise_reranker.")
        }
        self.init(
            rows: rows, isSplit: settings.valDataset.isEmpty && settings.splitDatasetRatio > 0,
            train: (groups, train.1),
            validation: try validation.map { data, report in
                let questions = try rows.validation.questions(of: data)
                return (DocumentGroups(data, questions: questions, isListwise: isListwise), report)
            }, empty: DocumentGroups(), row: { data.rows[$0] }, bytes: data.withBytes)
        console.print(data.sample(0).shown(by: text.tokenizer))
    }
}

extension RowDataset where Recognizer == RerankerRecognizer {
    /// A number for the question of each sample, the same for rows that ask the same.
    fileprivate func questions(of data: GroupedDataset) throws -> [Int32] {
        var numbers: [String: Int32] = [:]
        return try data.rows.map { row in
            let question = try recognized(at: Int(row)).query.text
            let number = numbers[question] ?? Int32(numbers.count)
            numbers[question] = number
            return number
        }
    }
}

extension GroupedDataset.Group {
    /// The first sample of a run as a person reads it.
    func shown(by tokenizer: Tokenizer) -> String {
        let names =
            (anchor == nil ? [] : ["ANCHOR"]) + positives.map { _ in "POSITIVE" } + negatives.map { _ in "NEGATIVE" }
        let lines = zip(names, texts).map { "[\($0)_IDS] \($1.ids)\n[\($0)] \(tokenizer.decode($1.ids))" }
        return (["first sample:"] + lines + (label.map { ["[LABEL] \($0)"] } ?? [])).joined(separator: "\n")
    }
}
