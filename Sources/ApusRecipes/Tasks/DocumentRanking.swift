import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusMetrics
import ApusModels
import ApusRunLog
import ApusText
import ApusTraining

extension TaskType {
    /// Scores of documents for a question.
    package static let reranker = TaskType(DocumentRanking())
}

/// Scores of documents for a question, learned from documents that answer it and others that do not.
struct DocumentRanking: TextTask {
    let word = "reranker"
    let activity = "scores documents"
    let peft: PEFTTask? = .sequenceClassification
    let gguf: GGUFUse? = .scores
    let losses: [LossType] = [.pointwiseReranker, .listwiseReranker]
    let standardLoss: LossType? = .pointwiseReranker
    let options = EncodingSettings.templateOptions.union(["pair_format", "reranker_use_activation"])
    let drawsSamples = true

    func head(labelCount: Int?, config: JSONValue) -> ModelTask { .sequenceClassification(labels: 1) }

    func metrics(loss: LossType?, problem: ProblemType?) -> [String] { ["loss"] + RerankerMetrics.names }

    func training(_ inputs: TrainingInputs) throws -> TrainingTask {
        let (settings, console) = (inputs.settings, inputs.console)
        let model = try Models.registry.classifier(inputs.config, labels: 1)
        var options = RerankerRecognizer.Options()
        options.columns = settings.data.columns
        let rows = try inputs.rows(as: RerankerRecognizer(options))
        let encoder = inputs.encoder(for: model)
        let cache = inputs.sampleCache()
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                maximumLength: encoder.limit, strategy: encoder.strategy, isStrict: settings.data.strict,
                threads: settings.data.datasetNumProc, progress: progress, cache: cache, encode: encoder.encode)
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
        let held = try validation.map { data, report in
            let questions = try rows.validation.questions(of: data)
            return (DocumentGroups(data, questions: questions, isListwise: isListwise), report)
        }
        if let note = held.flatMap({ Self.note($0.0, settings) }) { console.print("note: \(note)") }
        let samples = try TrainingSamples(
            rows: rows, isSplit: settings.data.isSplit, train: (groups, train.1), validation: held,
            empty: DocumentGroups(), row: { data.rows[$0] }, bytes: data.withBytes,
            maximumDroppedShare: settings.data.maxDroppedRatio)
        console.print(data.sample(0).shown(by: inputs.text.tokenizer))
        return TrainingTask(
            model: model, samples: samples, objective: DocumentScores(model, isListwise: isListwise),
            labels: try Self.scheme)
    }

    func loaded(_ inputs: LoadingInputs) throws -> any LoadedTask {
        LoadedReranker(scorer: try LoadedClassifier(inputs, Self.scheme))
    }

    /// How many questions an evaluation leaves out of what it measures; nil where none is, or nothing is evaluated.
    static func note(_ validation: DocumentGroups, _ settings: SFTSettings) -> String? {
        let (all, measured) = validation.questionCounts
        guard measured < all, settings.evalStrategy != .no || settings.evaluation.evalOnStart else { return nil }
        let names = RerankerMetrics.names.joined(separator: ", ")
        guard measured > 0 else {
            return
                "no validation question has both a positive and a negative document, so that \(names) are no numbers. "
                + "Give rows with both."
        }
        return "\(names) are those of \(measured) of \(all) validation questions; the others have no positive or no "
            + "negative document, so that no order is wrong"
    }

    /// The one score of a document.
    private static var scheme: LabelScheme {
        get throws { try LabelScheme(problemType: .regression, labelCount: 1) }
    }
}

/// A model that scores documents.
struct LoadedReranker: LoadedTask {
    let scorer: LoadedClassifier

    var model: any TextModel { scorer.model }
    var labels: LabelScheme? { scorer.labels }
    var newWeights: [String] { scorer.newWeights }

    func answer(_ request: AnswerRequest) throws {
        try Reranking(request, model: scorer.classifier)()
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
