package import ApusJSON
package import ApusNN
import ApusTorch

/// Trained vectors in front of those of the words: `prompt_embeddings` [n, D], or [2n, D] where an encoder reads.
///
/// Lester et al. 2021, <https://arxiv.org/abs/2104.08691>.
package final class PromptEmbedding: TablePrompt {
    @Parameter("prompt_embeddings") var table: Tensor

    init(name: String, places: Int, host: any PromptHost) {
        super.init(name: name, places: places, hasEncoder: host.hasEncoder)
        $table.declare([rowCount, host.embedding.width], .normal(deviation: 1))
    }

    override func vectors(_ context: ForwardContext) -> Tensor { table }
}

/// Prompt tuning, as PEFT's `PromptTuningConfig` describes it.
package struct PromptTuningConfiguration: AdapterMethod {
    package static let peftType = "PROMPT_TUNING"
    package static let tunerType = "prompt_tuning"
    package static let modelPrefix = promptPrefix
    package static let hangsOnLayers = false

    static let startOption = AdapterOption(
        "prompt_tuning_init", .choice(["RANDOM", "SAMPLE_VOCAB", "TEXT"]), default: "RANDOM",
        "Start of the prompt: random vectors, those of random words, or those of a text.")
    static let textOption = AdapterOption(
        "prompt_tuning_init_text", .text, "The text, cut or repeated to the places there are.")
    package static let options = [PromptSizes.countOption, startOption, textOption]

    private enum Start: String {
        case random = "RANDOM"
        case words = "SAMPLE_VOCAB"
        case text = "TEXT"
    }

    private var sizes: PromptSizes
    private var start = Start.random
    private var text: String?
    /// The model whose tokenizer reads the text.
    private var tokenizer: String?
    private var tokenizerOptions: JSONValue = nil
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        sizes = try PromptSizes(settings)
        start = Start(rawValue: try settings.text(Self.startOption)) ?? .random
        text = settings[Self.textOption].stringValue
        guard (start == .text) == (text != nil) else {
            throw AdapterError(
                start == .text
                    ? "--prompt_tuning_init TEXT needs the text: give --prompt_tuning_init_text"
                    : "--prompt_tuning_init_text is read only with --prompt_tuning_init TEXT; give that too")
        }
        tokenizer = text == nil ? nil : settings.tokenizer
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        sizes = try PromptSizes(reader)
        if let name = try reader.text("prompt_tuning_init") {
            guard let start = Start(rawValue: name) else {
                throw reader.refusal(
                    "\"prompt_tuning_init\" is \"\(name)\", which is not known; known are RANDOM, SAMPLE_VOCAB, TEXT")
            }
            self.start = start
        }
        text = try reader.text("prompt_tuning_init_text")
        tokenizer = try reader.text("tokenizer_name_or_path")
        tokenizerOptions = json["tokenizer_kwargs"] ?? .null
        base = try reader.base()
    }

    package var summary: String { "\(sizes.count) vectors in front" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let (path, host) = try sizes.host(in: model, for: base.taskType, ofAttention: false)
        let adapter = PromptEmbedding(name: name, places: sizes.count, host: host)
        host.prompts.append(adapter)
        return [AdapterPart(path: path, host: host, adapter: adapter, prefix: "")]
    }

    package func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws {
        guard start != .random, let part = parts.first, let host = part.host as? any PromptHost,
            let adapter = part.adapter as? PromptEmbedding
        else { return }
        let words = host.embedding.weight  // [V, D]
        var ids: [Int32]
        if start == .text {
            ids = try text.flatMap { try encode?($0) } ?? []
            guard !ids.isEmpty else {
                throw AdapterError(
                    "--prompt_tuning_init_text \"\(text ?? "")\" has no tokens; give a text that has some")
            }
            ids = (0..<adapter.rowCount).map { ids[$0 % ids.count] }
        } else {
            let key = streamKey(seed, AdapterStream.key(adapter.name, "prompt_tuning_init"))
            ids = (0..<adapter.rowCount).map { Int32(streamKey(key, UInt64($0)) % UInt64(words.shape[0])) }
        }
        let table = adapter.table
        try adapter.$table.fill(
            withoutGradients { try embedding(Tensor(ids, device: words.device), words).to(table.dtype) })
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = sizes.json(parts, ofAttention: false)
        file["prompt_tuning_init"] = .string(start.rawValue)
        file["prompt_tuning_init_text"] = text.map(JSONValue.string) ?? .null
        file["tokenizer_kwargs"] = tokenizerOptions
        file["tokenizer_name_or_path"] = tokenizer.map(JSONValue.string) ?? .null
        return base.json(Self.peftType, file)
    }
}
