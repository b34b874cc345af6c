package import ApusJSON
package import ApusNN
import ApusTorch

/// A prompt of several tasks, scaled for one of them: `P ⊙ U V`, P [n, D], U [1, n, k], V [1, k, D].
///
/// Where an encoder reads, n counts twice: one half lies in front of what is read, the other in front of the answer.
/// Wang et al. 2023, <https://arxiv.org/abs/2303.02861>.
package final class MultitaskPrompt: TablePrompt {
    @Parameter("prompt_embeddings") var table: Tensor  // [n, D]
    @Parameter("prefix_task_cols") var columns: Tensor  // [1, n, k]
    @Parameter("prefix_task_rows") var scaledRows: Tensor  // [1, k, D]

    init(name: String, places: Int, host: any PromptHost, rank: Int) {
        let width = host.embedding.width
        super.init(name: name, places: places, hasEncoder: host.hasEncoder, precedesAnswers: true)
        $table.declare([rowCount, width], .normal(deviation: 1))
        $columns.declare([1, rowCount, rank], .normal(deviation: 0.02))
        $scaledRows.declare([1, rank, width], .normal(deviation: 0.02))
    }

    override func vectors(_ context: ForwardContext) throws -> Tensor {
        try table * matmul(columns, scaledRows).selected(0, 0)  // [n, D]
    }
}

/// Multitask prompt tuning for one task, as PEFT's `MultitaskPromptTuningConfig` describes it.
///
/// Rows of data do not say here which task they are of, so that a file of several tasks is refused.
package struct MultitaskPromptTuningConfiguration: AdapterMethod {
    package static let peftType = "MULTITASK_PROMPT_TUNING"
    package static let tunerType = "multitask_prompt_tuning"
    package static let modelPrefix = promptPrefix
    package static let hangsOnLayers = false

    static let rankOption = AdapterOption(
        "num_ranks", .integer(AdapterOption.counts), default: 1, "Rank of the task's own scales.", decidesCount: true)
    package static let options = [PromptSizes.countOption, rankOption]

    private var sizes: PromptSizes
    private var rank = 1
    /// What a file says of its start, which its tensors replace.
    private var start: JSONObject = [
        "prompt_tuning_init": "RANDOM", "prompt_tuning_init_state_dict_path": nil, "prompt_tuning_init_task": 0,
        "prompt_tuning_init_text": nil, "tokenizer_kwargs": nil, "tokenizer_name_or_path": nil,
    ]
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        sizes = try PromptSizes(settings)
        rank = try settings.integer(Self.rankOption)
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        sizes = try PromptSizes(reader)
        rank = try reader.count("num_ranks", default: 1)
        let tasks = try reader.count("num_tasks", default: 1)
        guard tasks == 1 else {
            throw reader.refusal(
                "\"num_tasks\" is \(tasks), and rows of data do not say which task they are of; take one task out of it in "
                    + "PEFT (prompt_tuning_init EXACT_SOURCE_TASK)")
        }
        for key in start.keys { start[key] = json[key] ?? .null }
        base = try reader.base()
    }

    package var summary: String { "\(sizes.count) vectors in front" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let (path, host) = try sizes.host(in: model, for: base.taskType, ofAttention: false)
        let adapter = MultitaskPrompt(name: name, places: sizes.count, host: host, rank: rank)
        host.prompts.append(adapter)
        return [AdapterPart(path: path, host: host, adapter: adapter, prefix: "")]
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = sizes.json(parts, ofAttention: false)
        for (key, value) in start { file[key] = value }
        file["num_ranks"] = .int(rank)
        file["num_tasks"] = 1
        return base.json(Self.peftType, file)
    }
}
