import ApusDatasets
import ApusLanguageModel
import ApusText
import ApusTraining
import Foundation

extension TrainingSamples {
    /// Conversations, of which the answers are learned.
    init(conversations settings: SFTSettings, text: TextParts, model: any TextModel, console: Console) throws {
        var loader = DatasetLoader(settings)
        loader.recognition.columns = settings.columns
        loader.recognition.modelName = settings.modelName ?? []
        loader.recognition.modelAuthor = settings.modelAuthor ?? []
        let rows = try loader.load(settings.dataset, validation: settings.valDataset)
        console.print(rows.report.text)

        let truncation = try Truncation(
            maximumLength: model.limit(settings.maxLength),
            strategy: settings.truncationStrategy.truncation)
        let encoding = ConversationEncoder(settings, text: text)
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                truncation: truncation, isStrict: settings.strict, threads: settings.datasetNumProc,
                progress: progress, encode: encoding.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        self.init(
            rows: rows, isSplit: loader.splitRatio > 0, train: train, validation: validation,
            empty: TokenizedDataset(), row: { data.conversations[$0] },
            bytes: { index, update in
                let sample = data.sample(index)
                sample.ids.withUnsafeBytes(update)
                sample.isTrained.map { $0 ? UInt8(1) : 0 }.withUnsafeBytes(update)
            })
        let preview = SamplePreview(data.sample(0)) { [tokenizer = text.tokenizer] in tokenizer.decode($0) }
        console.print("first sample, what is trained between « »:\n\(preview.marked(usesColor: false))")
        console.print(preview.labels)
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
