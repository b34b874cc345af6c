import ApusDatasets
import ApusLanguageModel
import ApusRunLog
import ApusText
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
            strategy: settings.truncationStrategy)
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
                sample.weights?.withUnsafeBytes(update)
            })
        let preview = SamplePreview(data.sample(0)) { [tokenizer = text.tokenizer] in tokenizer.decode($0) }
        console.print("first sample, what is trained between « »:\n\(preview.marked(usesColor: false))")
        console.print(preview.labels)
    }
}

extension ConversationEncoder {
    /// The encoder that the settings of a run ask for.
    init(_ settings: SFTSettings, text: TextParts) {
        self.init(
            tokenizer: text.tokenizer, chat: settings.useChatTemplate ? text.encoder : nil, system: settings.system,
            turns: settings.lossScale)
    }
}
