import ApusGeneration
import ApusJSON
import ApusText

/// What a model's `generation_config.json` says.
struct GenerationDefaults {
    /// An answer ends before any of these.
    let endTokens: Set<Int32>
    /// What the settings leave open.
    let sampling: Sampling
    let text: JSONValue?

    init(_ source: ModelSource, config: JSONValue, tokenizer: Tokenizer) throws {
        let file = try source.json("generation_config.json")
        text = file
        func ids(_ value: JSONValue?) -> [Int32] {
            (value?.arrayValue ?? value.map { [$0] } ?? []).compactMap { $0.intValue.flatMap(Int32.init(exactly:)) }
        }
        let named = ids(file?["eos_token_id"] ?? config["eos_token_id"])
        endTokens = Set(named + [tokenizer.eosTokenID].compactMap { $0 })
        var sampling = Sampling()
        let samples = file?["do_sample"]?.boolValue ?? true
        sampling.temperature = samples ? file?["temperature"]?.doubleValue ?? 1 : 0
        sampling.topK = file?["top_k"]?.intValue
        sampling.topP = file?["top_p"]?.doubleValue
        sampling.repetitionPenalty = file?["repetition_penalty"]?.doubleValue ?? 1
        self.sampling = sampling
    }
}
