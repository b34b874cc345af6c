import ApusAdapters
import ApusJSON
import ApusTorch
import ApusWeights
import Testing

@testable import ApusRecipes

/// Every option through words, settings and `args.json`, and back.
struct RoundTripTests {
    /// A value that is not the default, for any kind of option.
    private func sample(_ option: CommandOption) -> [String] {
        switch option.name {
        case "pair_format", "prompt_format": return ["{text2} {text1}"]
        case "truncation_strategy": return ["left"]
        case "task": return ["fill-mask", "one"]
        case "metric_for_best_model": return ["token_acc"]
        case "max_shard_size", "paged_memory", "max_memory": return ["7GB"]
        case "adapter_weights": return ["0.5", "2.0"]
        case "quant_bits": return ["8"]
        case "eva_rho": return ["3.5"]
        case "lora_bias": return ["all"]
        case "lr_scheduler_type": return ["linear"]
        case "lr_scheduler_kwargs": return [#"{"num_cycles":0.75}"#]
        case "optim_args": return ["momentum=0.9"]
        default: break
        }
        return switch option.kind {
        case .text, .escapedText, .prompt: ["some text"]
        case .integer: ["7"]
        case .number: ["0.25"]
        case .boolean: [option.defaultValue == .boolean(true) ? "false" : "true"]
        case .choice(let words, _): [words.last ?? ""]
        case .choices(let words, _): [words.last ?? ""]
        case .list: ["one", "two"]
        case .integers: ["1", "2"]
        case .numbers: ["0.25", "0.75"]
        case .chain(let first, let others): ["\(first.last ?? "")+\(others.last ?? "")"]
        case .mapping: [#"{"a": "b"}"#]
        case .json: [#"[{"role": "user", "content": "Hi"}]"#]
        }
    }

    /// Every supported option reaches its property, comes out in `args.json` and back in.
    private func check<Settings: CommandSettings>(_: Settings.Type, with required: [String]) throws {
        let table = OptionTable.table(for: Settings.command)
        let fields = Settings.fields.map(\.name)
        #expect(Set(fields).count == fields.count)
        let expected = table.options.filter { $0.status == .supported && $0.name != "ignore_args_error" }.map(\.name)
        #expect(Set(fields) == Set(expected))

        for field in Settings.fields {
            guard let option = table[field.name] else { continue }
            // Some count with others only, or alone.
            var words = required
            if field.name == "decode" { words = ["--model", "m"] }
            if ["eval_strategy", "eval_steps"].contains(field.name) { words += ["--val_dataset", "v"] }
            if field.name == "adapter_names" { words += ["./b"] }
            if field.name == "top_logprobs" { words += ["--logprobs", "true"] }
            if field.name == "streaming" { words += ["--max_steps", "3"] }
            if field.name == "use_galore" { words += ["--tuner_type", "full"] }
            if ["combination_type", "convert_to_lora"].contains(field.name) { words = ["--adapters", "a"] }
            if field.name == "quant_method" { words += ["--quant_bits", "4"] }
            if field.name == "quant_bits" { words += ["--quant_method", "bnb"] }
            if field.name == "loss_type" { words += ["--task_type", "reranker"] }
            if field.name == "predict_with_generate" { words += ["--task_type", "seq2seq_lm"] }
            if ["early_stop_interval", "load_best_model_at_end"].contains(field.name) {
                words += ["--val_dataset", "v"]
            }
            if field.name == "optim_args" { words += ["--optim", "sgd"] }
            words += ["--\(field.name)"] + (field.name == "structured_outputs_json" ? ["true"] : sample(option))
            var notices: [String] = []
            let line = try ArgumentLine(words, for: Settings.command)
            let settings = try Settings(line, notices: &notices)
            #expect(field.read(settings) == line[field.name], "\(field.name)")

            // A token goes into no file.
            if field.name == "hub_token" {
                #expect(settings.argsJSON()["hub_token"] == nil)
                continue
            }
            let text = JSONValue.object(settings.argsJSON()).serialized()
            let json = try #require(try JSONValue(parsing: text, duplicateKeys: .refuse).objectValue)
            let copy = try Settings(argsJSON: json)
            #expect(field.read(copy) == line[field.name], "\(field.name)")
            #expect(copy.argsJSON() == settings.argsJSON(), "\(field.name)")
        }
    }

    /// What help shows as the default is what the struct holds.
    private func checkDefaults<Settings: CommandSettings>(_: Settings.Type) {
        let table = OptionTable.table(for: Settings.command)
        let settings = Settings()
        for field in Settings.fields {
            guard let option = table[field.name], option.kind != .text, option.computedDefault == nil else { continue }
            #expect(field.read(settings) == option.defaultValue, "\(field.name)")
        }
    }

    @Test func sft() throws { try check(SFTSettings.self, with: ["--model", "m", "--dataset", "d"]) }
    @Test func infer() throws { try check(InferSettings.self, with: ["--model", "m", "--adapters", "a"]) }
    @Test func export() throws {
        try check(ExportSettings.self, with: ["--adapters", "a", "--merge_lora", "true"])
    }
    @Test func params() throws { try check(ParamsSettings.self, with: ["--model", "m"]) }
    @Test func tokenize() throws { try check(TokenizeSettings.self, with: ["--model", "m", "--text", "t"]) }
    @Test func template() throws { try check(TemplateSettings.self, with: ["--model", "m", "--messages", "[]"]) }

    @Test func defaults() {
        checkDefaults(SFTSettings.self)
        checkDefaults(InferSettings.self)
        checkDefaults(ExportSettings.self)
        checkDefaults(ParamsSettings.self)
        checkDefaults(TokenizeSettings.self)
        checkDefaults(TemplateSettings.self)
    }

    /// The words are ms-swift's; those of ms-swift that are not among them are refused by name.
    @Test(
        arguments: [
            ("torch_dtype", "bfloat16 float16 float32"), ("lora_dtype", "bfloat16 float16 float32"),
            ("device", "cpu cuda mps"),
            (
                "model_type",
                "RefinedWeb RefinedWebModel albert baichuan bert bloom camembert chatglm deberta-v2 deepseek_v2 "
                    + "deepseek_v3 distilbert electra exaone4 falcon gemma gemma2 gemma3_text glm glm4 glm4_moe glm4_moe_lite gpt2 gpt_neo "
                    + "gpt_neox gpt_oss gptj granite hunyuan_v1_dense internlm2 llama minicpm minicpm3 mistral mixtral modernbert mpt mt5 olmo2 "
                    + "olmoe opt phi phi3 qwen2 qwen2_moe qwen3 qwen3_5_moe_text qwen3_5_text qwen3_moe qwen3_next roberta seed_oss smollm3 stablelm starcoder2 t5 "
                    + "xlm-roberta yuan"
            ),
            ("task_type", "causal_lm seq2seq_lm seq_cls embedding reranker mlm"),
            ("problem_type", "regression single_label_classification multi_label_classification"),
            ("multi_label_format", "ids multi_hot"),
            (
                "loss_type",
                "cross_entropy cosine_similarity contrastive infonce pointwise_reranker listwise_reranker"
            ),
            (
                "tuner_type",
                "lora ia3 prompt_tuning prefix_tuning p_tuning adalora adapter vera trainable_tokens randlora shira c3a "
                    + "fourierft vblora waveft multitask_prompt_tuning loha lokr oft boft hra miss ln_tuning road hira "
                    + "delora longlora llamapro reft xlora full bitfit"
            ),
            ("lokr_init_weights", "true lycoris"), ("miss_init_weights", "true bat mini"),
            ("hira_init_weights", "true gaussian"), ("road_variant", "road_1 road_2 road_4"),
            ("lora_bias", "none all lora_only"),
            ("corda_method", "ipm kpm"), ("lora_ga_direction", "ArBr A2rBr ArB2r random"),
            ("lora_ga_scale", "stable unit weight_svd gd_scale weightS gd"),
            (
                "reft_intervention_type",
                "LoreftIntervention NoreftIntervention ConsreftIntervention LobireftIntervention DireftIntervention "
                    + "NodireftIntervention"
            ),
            ("galore_proj_type", "std reverse_std right left full"),
            ("truncation_strategy", "delete left right split"),
            ("stopping_strategy", "first_exhausted all_exhausted"), ("packing_strategy", "binpack sequential"),
            (
                "init_weights",
                "true false gaussian pissa pissa_niter_4 pissa_niter_16 olora loftq eva corda lora-ga"
            ),
            (
                "optim",
                "adamw_torch_fused adamw_torch adamw_8bit paged_adamw_32bit paged_adamw_8bit lomo adalomo sgd adafactor "
                    + "lion_32bit lion_8bit paged_lion_32bit paged_lion_8bit adagrad rmsprop schedule_free_adamw "
                    + "schedule_free_sgd stable_adamw ademamix paged_ademamix_32bit apollo_adamw grokadamw"
            ),
            ("optimizer", "default galore lorap muon"), ("acc_strategy", "token seq"),
            ("callbacks", "early_stop adalora lisa graceful_exit"), ("logging_strategy", "no steps epoch"),
            (
                "lr_scheduler_type",
                "linear cosine cosine_with_restarts polynomial constant constant_with_warmup inverse_sqrt "
                    + "reduce_lr_on_plateau cosine_with_min_lr cosine_warmup_with_min_lr warmup_stable_decay"
            ),
            ("eval_strategy", "no steps epoch"), ("save_strategy", "no steps epoch"),
            ("report_to", "tensorboard wandb swanlab none"), ("nan_policy", "stop skip"),
            ("infer_backend", "transformers"),
            ("existing_result", "refuse append overwrite"), ("template_backend", "swift jinja"),
            ("prompt_tuning_init", "RANDOM SAMPLE_VOCAB TEXT"),
            ("prefix_init_weights", "random zero"), ("encoder_reparameterization_type", "MLP LSTM"),
            ("adapter_act", "gelu gelu_new relu silu"), ("randlora_sparsity", "none sparse very_sparse"),
            ("c3a_init_weights", "xavier_uniform kaiming_uniform gaussian true"),
            ("quant_method", "bnb"), ("bnb_4bit_quant_type", "nf4 fp4"),
            ("bnb_4bit_compute_dtype", "bfloat16 float16 float32"),
            ("bnb_4bit_quant_storage", "uint8 bfloat16 float16 float32"),
        ] as [(String, String)])
    func words(option: String, words: String) throws {
        let tables = [Command.sft, .infer].map { OptionTable.table(for: $0) }
        switch try #require(tables.compactMap { $0[option] }.first).kind {
        case .choice(let known, _), .choices(let known, _):
            #expect(known == words.split(separator: " ").map(String.init))
        default: Issue.record("\(option) has no words")
        }
    }

    /// No option has words that this test does not know.
    @Test func allWordsAreChecked() {
        let choosing = [Command.sft, .infer].flatMap { OptionTable.table(for: $0).options }.filter {
            switch $0.kind {
            case .choice, .choices: $0.status == .supported
            default: false
            }
        }
        #expect(Set(choosing.map(\.name)).count == 48, "\(Set(choosing.map(\.name)))")
    }

    @Test(arguments: [
        #"{"model": 3, "dataset": ["d"], "lora_rank": "x"}"#, #"{"model": "m", "dataset": ["d"], "lora_rank": 0}"#,
        #"{"model": "m", "dataset": ["d"], "optim": "ademamix_8bit"}"#,
        #"{"model": "m", "dataset": ["d"], "strict": [1, 2]}"#,
        #"{"model": "m", "dataset": ["d"], "learning_rate": 1e999}"#,
    ])
    func wrongArgsJSON(text: String) throws {
        let json = try? JSONValue(parsing: text, duplicateKeys: .refuse).objectValue
        guard let json else { return }
        #expect(throws: SettingsError.self) { try SFTSettings(argsJSON: json) }
    }
}
