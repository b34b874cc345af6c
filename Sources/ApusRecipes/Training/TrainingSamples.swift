import ApusDatasets
import ApusFiles
import ApusJSON
import ApusText
import ApusTraining
import Foundation

/// The data of a run, read, encoded and reported.
struct TrainingSamples {
    let train: TokenizedDataset
    let validation: TokenizedDataset
    let trainStatistics: String
    let validationStatistics: String?
    private let trainRows: ConversationDataset
    /// The rows that were split off from the training data, one JSON text each.
    private let splitOff: ConversationDataset?

    init(_ settings: SFTSettings, text: TextParts, modelLength: Int, console: Console) throws {
        var loader = DatasetLoader()
        loader.recognition.columns = settings.columns
        loader.recognition.modelName = settings.modelName ?? []
        loader.recognition.modelAuthor = settings.modelAuthor ?? []
        loader.seed = UInt32(truncatingIfNeeded: settings.dataSeed)
        loader.splitRatio = settings.valDataset.isEmpty ? settings.splitDatasetRatio : 0
        loader.shufflesTraining = settings.datasetShuffle
        loader.shufflesValidation = settings.valDatasetShuffle
        loader.isStrict = settings.strict
        loader.threads = settings.datasetNumProc
        let loaded = try loader.load(settings.dataset, validation: settings.valDataset)
        console.print(loaded.report.text)

        let truncation = try Truncation(
            maximumLength: min(settings.maxLength ?? modelLength, modelLength),
            strategy: Truncation.Strategy(rawValue: settings.truncationStrategy.rawValue) ?? .delete)
        let encoding = ConversationEncoder(settings, text: text)
        func encoded(_ rows: ConversationDataset, _ label: String) throws -> (TokenizedDataset, EncodingReport) {
            let bar = console.startProgress("Map (\(label))", total: rows.count)
            let result = try rows.tokenized(
                truncation: truncation, isStrict: settings.strict, threads: settings.datasetNumProc,
                progress: { done, _ in bar.update(to: done) }, encode: encoding.encode)
            bar.finish()
            console.print("\(label): \(result.report.text)")
            return (result.dataset, result.report)
        }
        let (train, report) = try encoded(loaded.train, "train")
        self.train = train
        trainStatistics = report.lengths.map(String.init(describing:)) ?? ""
        if loaded.validation.isEmpty {
            validation = TokenizedDataset()
            validationStatistics = nil
        } else {
            let (samples, report) = try encoded(loaded.validation, "val")
            validation = samples
            validationStatistics = report.lengths.map(String.init(describing:))
        }
        trainRows = loaded.train
        splitOff = loader.splitRatio > 0 ? loaded.validation : nil
        let preview = SamplePreview(train.sample(0)) { [tokenizer = text.tokenizer] in tokenizer.decode($0) }
        console.print("first sample, what is trained between « »:\n\(preview.marked(usesColor: false))")
        console.print(preview.labels)
    }

    /// The tokens and targets of the largest micro-batch that can come up.
    func largestBatch(size: Int) -> (tokens: Int, targets: Int) {
        let longest = train.indices.map { (train.length(of: $0), train.trainedCount(of: $0)) }.sorted { $0.0 > $1.0 }
        return longest.prefix(size).reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
    }

    /// `file:line` of a training sample.
    func placeOfSample(_ index: Int) -> String {
        trainRows.place(of: Int(train.conversations[index]))
    }

    func writeSplitOff(to folder: String) throws {
        guard let splitOff, !splitOff.isEmpty else { return }
        let lines = try (0..<splitOff.count).map { try splitOff.row(at: $0).serialized() + "\n" }
        try LocalFileSystem().writeAtomically(Data(lines.joined().utf8), to: "\(folder)/val_dataset.jsonl")
    }
}

/// From a conversation to token ids, by the settings of a run.
struct ConversationEncoder {
    private let system: String?
    private let turns: TrainedTurns
    private let usesTemplate: Bool
    private let text: TextParts

    init(_ settings: SFTSettings, text: TextParts) {
        system = settings.system
        usesTemplate = settings.useChatTemplate
        turns =
            switch settings.lossScale {
            case .default: .everyAnswer
            case .lastRound: .lastRound
            case .all: .all
            }
        self.text = text
    }

    @Sendable func encode(_ conversation: Conversation) throws -> (ids: [Int32], isTrained: [Bool]) {
        var messages = conversation.messages
        if let system, messages.first?.role != "system" {
            messages.insert(Message(role: "system", content: system), at: 0)
        }
        guard usesTemplate else { return plain(messages) }
        do {
            let encoded = try text.encoder.encoded(messages, tools: conversation.tools, training: turns)
            return (encoded.ids, encoded.isTrained)
        } catch let error as JinjaError where error.kind == .limit {
            // A template that runs away does so for every row; one is enough.
            throw DatasetError(
                "\(error). Correct the chat template in the model's folder; `apus template` tries it on one conversation."
            )
        }
    }

    /// ms-swift's generation template: the bare texts one after the other, answers ended by the end-of-sequence token.
    private func plain(_ messages: [Message]) -> (ids: [Int32], isTrained: [Bool]) {
        var ids: [Int32] = text.tokenizer.bosTokenID.map { text.tokenizer.encode("").first == $0 ? [$0] : [] } ?? []
        var isTrained = ids.map { _ in false }
        for message in messages {
            let isAnswer = message.role == "assistant"
            var piece = text.tokenizer.encode(message.text ?? "", addSpecialTokens: false)
            if isAnswer, let end = text.tokenizer.eosTokenID { piece.append(end) }
            ids += piece
            let learns = turns == .all || (isAnswer && message.isTrained != false)
            isTrained += piece.map { _ in learns }
        }
        if !isTrained.isEmpty { isTrained[0] = false }
        return (ids, isTrained)
    }
}
