import Foundation

/// Where sampled answers come from.
package enum SamplerType: String, Sendable, CaseIterable {
    case sample
}

/// What draws answers.
package enum SamplerEngine: String, Sendable, CaseIterable {
    case transformers
    /// Nothing; answers are those of earlier runs.
    case none = "no"
}

extension SamplerType: OptionChoice {}
extension SamplerEngine: OptionChoice {}

/// The settings of `sample`: several answers to each row of a dataset, judged, the best of them beside the worst.
package struct SampleSettings: Sendable {
    /// The model, the data and how it answers.
    package var answering = InferSettings()
    package var rewards = RewardSettings()
    package var samplerType = SamplerType.sample
    package var samplerEngine = SamplerEngine.transformers
    package var outputDirectory = "sample_output"
    /// The name of the output; nil makes one of the time.
    package var outputFile: String?
    /// Whether to go on with an output that was cut off.
    package var resume = false
    /// Whether to sample again where the output is there.
    package var overrideExistFile = false
    /// Whether to write every answer with its scores too.
    package var logCompletions = false
    /// Questions answered at once.
    package var numSamplingBatchSize = 1
    /// Batches to answer; nil answers all.
    package var numSamplingBatches: Int?
    /// The shard to answer and how many there are; empty answers all.
    package var dataRange: [Int] = []
    /// Outputs whose answers are judged.
    package var cacheFiles: [String] = []
    /// What judges whole answers.
    package var ormModel: String?
    /// What judges how good answers are.
    package var prmModel: String?
    package var prmThreshold = 0.0
    package var nBestToKeep = 5
    /// The share of right answers from which a question is too easy.
    package var easyQueryThreshold: Double?

    /// Settings for a model, or for adapters whose base they name.
    package init(model: String? = nil, adapters: [String] = []) {
        answering = InferSettings(model: model, adapters: adapters)
        answering.generation.numReturnSequences = 64
        answering.generation.temperature = 1
    }

    /// Whether anything judges answers.
    var isJudged: Bool { ormModel != nil || prmModel != nil || !rewards.rewardFuncs.isEmpty }

    /// The most tokens of an answer, where the settings limit it.
    var answerLength: Int? { answering.generation.maxNewTokens }
}

extension SampleSettings: CommandSettings {
    package static var command: Command { .sample }

    package init() {
        self.init(model: nil)
    }

    package static let fields: [SettingsField<SampleSettings>] =
        InferSettings.fields.filter { OptionTable.table(for: .sample)[$0.name]?.status == .supported }
        .map { $0.inside(\.answering) } + fields(of: \.rewards) + [
            SettingsField("sampler_type", \.samplerType),
            SettingsField("sampler_engine", \.samplerEngine),
            SettingsField("output_dir", \.outputDirectory),
            SettingsField("output_file", \.outputFile),
            SettingsField("resume", \.resume),
            SettingsField("override_exist_file", \.overrideExistFile),
            SettingsField("log_completions", \.logCompletions),
            SettingsField("num_sampling_batch_size", \.numSamplingBatchSize),
            SettingsField("num_sampling_batches", \.numSamplingBatches),
            SettingsField("data_range", \.dataRange),
            SettingsField("cache_files", \.cacheFiles),
            SettingsField("orm_model", \.ormModel),
            SettingsField("prm_model", \.prmModel),
            SettingsField("prm_threshold", \.prmThreshold),
            SettingsField("n_best_to_keep", \.nBestToKeep),
            SettingsField("easy_query_threshold", \.easyQueryThreshold),
        ]

    package mutating func settle(notices: inout [String]) throws {
        if answering.model.adapters.isEmpty, samplerEngine != .none {
            try SettingChecks.model(answering.model.name, .sample)
        }
        guard !answering.data.dataset.isEmpty else {
            throw SettingsError("--dataset: not given. Give the questions, as in --dataset questions.jsonl.")
        }
        try answering.encoding.check()
        try answering.generation.check()
        try answering.hardware.settle()
        try answering.model.quantization.settle()
        try rewards.check()
        let generation = answering.generation
        if samplerEngine == .none {
            guard !cacheFiles.isEmpty else {
                throw SettingsError(
                    "--sampler_engine no: judges answers that are there already; name their files with --cache_files.")
            }
        } else if generation.numReturnSequences > 1, generation.temperature == 0 {
            throw SettingsError(
                "--num_return_sequences \(generation.numReturnSequences) and --temperature 0: greedy answers are all the same. "
                    + "Leave out --temperature, or give --num_return_sequences 1.")
        }
        if let outputFile, outputFile.contains("/") || outputFile.contains("\\") || outputFile.isEmpty {
            throw SettingsError(
                "--output_file \(outputFile): wanted a name without folders; --output_dir names the folder.")
        }
        if let outputFile, !outputFile.hasSuffix(".jsonl") {
            throw SettingsError("--output_file \(outputFile): wanted a name that ends in .jsonl.")
        }
        guard !resume || outputFile != nil else {
            throw SettingsError("--resume true: give --output_file, which names what to go on with.")
        }
        guard ormModel == nil || rewards.rewardFuncs.isEmpty else {
            throw SettingsError("--orm_model and --reward_funcs both judge whole answers. Give one of them.")
        }
        let isShard = dataRange.count == 2 && dataRange[1] > 0 && (0..<dataRange[1]).contains(dataRange[0])
        guard dataRange.isEmpty || isShard else {
            throw SettingsError(
                "--data_range: got \(dataRange.map(String.init).joined(separator: " ")); wanted the number of a shard from 0 and "
                    + "how many there are, such as 0 4.")
        }
        if !isJudged, let notice = withoutEffect(["n_best_to_keep"], because: "nothing judges the answers") {
            notices.append(notice)
        }
        if prmModel == nil, let notice = withoutEffect(["prm_threshold"], because: "--prm_model is not given") {
            notices.append(notice)
        }
        if ormModel == nil, rewards.rewardFuncs.isEmpty,
            let notice = withoutEffect(
                ["easy_query_threshold"], because: "neither --orm_model nor --reward_funcs says which answers are right"
            )
        {
            notices.append(notice)
        }
        let judges = rewards.rewardFuncs + [ormModel, prmModel].compactMap(\.self)
        var idle = RewardSettings.idle(of: judges)
        if samplerEngine == .none {
            let counted = ["cosine", "soft_overlong"].filter(judges.contains)
            guard counted.isEmpty || answering.model.name != nil else {
                throw SettingsError(
                    "--sampler_engine no: \(counted.joined(separator: " and ")) counts the tokens of answers. Give --model, whose "
                        + "tokenizer says what they are; it is not loaded otherwise.")
            }
            let drawing = GenerationSettings.fields.map(\.name).filter {
                $0 != "max_new_tokens" || !counted.contains("cosine")
            }
            idle.append((drawing + ["adapters"], "--sampler_engine no draws no answers"))
        }
        if overrideExistFile { idle.append((["resume"], "--override_exist_file true begins anew")) }
        for (names, reason) in idle {
            if let notice = withoutEffect(names, because: reason) { notices.append(notice) }
        }
        // Answering takes several answers to a row where there are rows.
        answering.data.valDataset = answering.data.dataset
    }
}
