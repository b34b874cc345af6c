import Foundation

/// An older spelling of a flag, from ms-swift 1.x to 4.x or transformers 4, and what it means now.
struct Rename: Sendable {
    enum Meaning: Sendable {
        /// The same option under another name. The closure translates its words; nil leaves the option unset.
        case option(String, @Sendable ([String]) -> [String]?)
        /// Any number of options, of which the first is named; none where the older words asked for what holds anyway.
        case options(String, @Sendable ([String]) -> [(name: String, words: [String])])
        /// A number of rows, which stands behind the data set now.
        case rows(String)
        /// An adapter or a whole model, each of which has its own option now.
        case checkpointFolder
        /// A list option whose values stand behind those that are given under its own name.
        case appended(String)
        /// Another value of a list option, besides those given.
        case addition(String, @Sendable ([String]) -> String?)
        /// Dropped, and printed as such, because what it chose does not exist here.
        case dropped(String)
        /// Refused, saying what to do instead.
        case refused(String)
    }

    let old: String
    let meaning: Meaning
    /// Older values and what they are now, for the table of compatibility; empty where values stay as they are.
    let values: String

    /// The name the flag has now, where it has one.
    var name: String? {
        switch meaning {
        case .option(let name, _), .addition(let name, _), .options(let name, _), .rows(let name), .appended(let name):
            name
        case .checkpointFolder: "model"
        case .dropped, .refused: nil
        }
    }

    static let all: [String: Rename] = Dictionary(
        uniqueKeysWithValues: (renamed + translated + withoutSuccessor).map { ($0.old, $0) })

    private init(_ old: String, _ meaning: Meaning, values: String = "") {
        self.old = old
        self.meaning = meaning
        self.values = values
    }

    /// - Parameters:
    ///   - words: New words for older values.
    ///   - unset: The older value that meant that nothing was set.
    private init(_ old: String, _ name: String, _ words: [String: String] = [:], unset: String? = nil) {
        let values = Self.listed(words) + (unset.map { ["\($0) → not set"] } ?? [])
        self.init(
            old, .option(name) { given in given.contains { $0 == unset } ? nil : given.map { words[$0] ?? $0 } },
            values: values.joined(separator: ", "))
    }

    // MARK: Name only

    private static let renamed: [Rename] = [
        Rename("sft_type", "tuner_type"),
        Rename("train_type", "tuner_type"),
        Rename("model_id_or_path", "model"),
        Rename("bnb_4bit_comp_dtype", "bnb_4bit_compute_dtype"),
        Rename("check_model_is_latest", "check_model"),
        Rename("batch_size", "per_device_train_batch_size"),
        Rename("eval_batch_size", "per_device_eval_batch_size"),
        Rename("evaluation_strategy", "eval_strategy"),
        Rename("only_save_model", "save_only_model"),
        Rename("save_safetensors", "safe_serialization"),
        Rename("add_output_dir_suffix", "add_version"),
        Rename("lora_target_regex", "target_regex"),
        Rename("lora_dropout_p", "lora_dropout"),
        Rename("lora_bias_trainable", "lora_bias"),
        Rename("lora_lr_ratio", "lorap_lr_ratio"),
        Rename("init_lora_weights", "init_weights"),
        Rename("additional_trainable_parameters", "trainable_parameters"),
        Rename("dataset_seed", "data_seed"),
        Rename("dataset_test_ratio", "split_dataset_ratio"),
        Rename("preprocess_num_proc", "dataset_num_proc"),
        Rename("custom_train_dataset_path", .appended("dataset")),
        Rename("custom_val_dataset_path", .appended("val_dataset")),
        Rename("streaming_buffer_size", "shuffle_buffer_size"),
        Rename("load_args_from_ckpt_dir", "load_args"),
        Rename("load_dataset_config", "load_data_args"),
        Rename("tools_prompt", "agent_template"),
        Rename("use_liger", "use_liger_kernel"),
        Rename("loss_name", "loss_type"),
        Rename("neftune_alpha", "neftune_noise_alpha"),
        Rename("deepspeed_config_path", "deepspeed"),
        Rename("device_map_config", "device_map"),
        Rename("device_map_config_path", "device_map"),
        Rename("ollama_output_dir", "output_dir"),
        Rename("push_hub_strategy", "hub_strategy"),
        Rename("device_max_memory", "max_memory"),
        Rename("rescale_image", "max_pixels"),
        Rename("vit_use_gc", "vit_gradient_checkpointing"),
        Rename("ref_model_id_or_path", "ref_model"),
        Rename("reward_model_id_or_path", "reward_model"),
        Rename("merge_lora_and_save", "merge_lora"),
        Rename("merge_lora_on_export", "merge_lora"),
        Rename("eval_nproc", "eval_num_proc"),
        Rename("eval_token", "api_key"),
        Rename("gpu_memory_utilization", "vllm_gpu_memory_utilization"),
        Rename("tensor_parallel_size", "vllm_tensor_parallel_size"),
        Rename("max_num_seqs", "vllm_max_num_seqs"),
        Rename("enforce_eager", "vllm_enforce_eager"),
        Rename("limit_mm_per_prompt", "vllm_limit_mm_per_prompt"),
        Rename("tp", "lmdeploy_tp"),
        Rename("session_len", "lmdeploy_session_len"),
        Rename("cache_max_entry_count", "lmdeploy_cache_max_entry_count"),
        Rename("quant_policy", "lmdeploy_quant_policy"),
        Rename("vision_batch_size", "lmdeploy_vision_batch_size"),
        Rename("metric", "eval_metric"),
        Rename("no_cuda", "use_cpu"),
        Rename("push_to_hub_token", "hub_token"),
        Rename("eval_datasets", "eval_dataset"),
        Rename("eval_datasets_args", "eval_dataset_args"),
        // Hugging Face's example scripts and LLaMA-Factory.
        Rename("model_name_or_path", "model"),
        Rename("model_id", "model"),
        Rename("adapter_name_or_path", "adapters"),
        Rename("train_file", "dataset"),
        Rename("train_dataset", "dataset"),
        Rename("validation_file", "val_dataset"),
        Rename("val_size", "split_dataset_ratio"),
        Rename("preprocessing_num_workers", "dataset_num_proc"),
        Rename("max_seq_length", "max_length"),
        Rename("max_seq_len", "max_length"),
        Rename("cutoff_len", "max_length"),
        Rename("finetuning_type", "tuner_type"),
        Rename("lora_r", "lora_rank"),
        Rename("lr", "learning_rate"),
        Rename("epochs", "num_train_epochs"),
        Rename("num_epochs", "num_train_epochs"),
        Rename("train_batch_size", "per_device_train_batch_size"),
        Rename("label_smoothing", "label_smoothing_factor"),
    ]

    // MARK: Name and value

    private static let layerWords: [String: String] = [
        "DEFAULT": "all-linear", "AUTO": "all-linear", "ALL": "all-linear", "EMBEDDING": "all-embedding",
    ]
    private static let savedWords: [String: String] = ["EMBEDDING": "all-embedding", "LN": "all-norm"]

    private static let translated: [Rename] =
        ["lora", "boft", "vera", "ia3"].flatMap {
            [
                Rename("\($0)_target_modules", "target_modules", layerWords),
                Rename("\($0)_modules_to_save", "modules_to_save", savedWords),
            ]
        } + [
            Rename(
                "dtype", "torch_dtype",
                ["fp16": "float16", "bf16": "bfloat16", "fp32": "float32"], unset: "AUTO"),
            Rename(
                "quantization_bit",
                .options("quant_bits") { $0.first == "0" ? [] : [("quant_bits", $0)] },
                values: "0 → not set; 4 and 8 without --quant_method → --quant_method bnb"),
            Rename(
                "template_type", .options("template", template),
                values: "AUTO → not set, …-generation → --use_chat_template false, "
                    + listed(OlderNames.templates).joined(separator: ", ")),
            Rename(
                "use_flash_attn",
                .options("attn_impl") { isTrue($0) ? [("attn_impl", ["flash_attn"])] : [] },
                values: "true → flash_attn, false → not set"),
            Rename(
                "eval_human", .options("load_data_args") { isTrue($0) ? [("load_data_args", ["false"])] : [] },
                values: "true → false, false → not set"),
            // The weights of 2.x are those that are called react now.
            Rename(
                "use_loss_scale", .options("loss_scale") { isTrue($0) ? [("loss_scale", ["react"])] : [] },
                values: "true → react, false → not set"),
            Rename(
                "overwrite_cache",
                .options("load_from_cache_file") { isTrue($0) ? [("load_from_cache_file", ["false"])] : [] },
                values: "true → false, false → not set"),
            Rename("train_dataset_sample", .rows("dataset"), values: "-1 → not set, N → #N behind the only data set"),
            Rename("val_dataset_sample", .rows("val_dataset"), values: "-1 → not set, N → #N behind the only data set"),
            Rename(
                "lora_target",
                .option("target_modules") { words in
                    words.flatMap { $0.split(separator: ",") }.map { $0.trimmingCharacters(in: .whitespaces) }
                        .filter { !$0.isEmpty }.map { $0 == "all" ? "all-linear" : $0 }
                }, values: "all → all-linear, commas → spaces"),
            Rename("ckpt_dir", .checkpointFolder, values: "an adapter → --adapters, a whole model → --model"),
            Rename(
                "do_sample", .options("temperature") { isTrue($0) ? [] : [("temperature", ["0"])] },
                values: "false → 0, true → not set"),
            Rename(
                "result_dir", .option("result_path") { $0.map { "\($0)/infer_result.jsonl" } },
                values: "a folder → infer_result.jsonl in it"),
            Rename(
                "self_cognition_sample",
                .addition("dataset") { words in
                    words.first.flatMap { Int($0) }.flatMap { $0 > 0 ? "swift/self-cognition#\($0)" : nil }
                }, values: "N → swift/self-cognition#N"),
        ]

    /// What 2.x called a template.
    @Sendable private static func template(_ words: [String]) -> [(name: String, words: [String])] {
        guard let word = words.first, word != "AUTO" else { return [] }
        if word.contains("-generation") { return [("use_chat_template", ["false"])] }
        return [("template", [OlderNames.templates[word] ?? word.replacing("-", with: "_")])]
    }

    /// The option for a folder that holds an adapter or a whole model.
    static func optionOfCheckpoint(_ folders: [String]) -> String {
        let isAdapter = folders.contains {
            FileManager.default.fileExists(atPath: "\($0)/adapter_config.json")
                || FileManager.default.fileExists(atPath: "\($0)/default/adapter_config.json")
        }
        return isAdapter ? "adapters" : "model"
    }

    private static func isTrue(_ words: [String]) -> Bool {
        guard let word = words.first?.lowercased() else { return true }
        return ["true", "yes", "t", "y", "1"].contains(word)
    }

    /// ms-swift's names for models that Apus knows by the `model_type` of their `config.json`.
    private static let families: [String: String] = [
        "qwen2_5": "qwen2", "qwen2_5_math": "qwen2", "qwen1half": "qwen2", "qwq": "qwen2", "qwen2_gte": "qwen2",
        "qwen3_thinking": "qwen3", "qwen3_nothinking": "qwen3", "qwen3_emb": "qwen3", "qwen3_reranker": "qwen3",
        "llama2": "llama", "llama3": "llama", "llama3_1": "llama", "llama3_2": "llama", "llama3_3": "llama",
        "yi": "llama", "mistral_nemo": "mistral", "mistral_2501": "mistral", "zephyr": "mistral",
        "polylm": "gpt2", "seggpt": "bloom", "yuan2": "yuan", "bge_reranker": "xlm-roberta",
        "gemma_emb": "gemma3_text", "gemma_reward": "gemma2", "phi4": "phi3", "qwen3_moe_thinking": "qwen3_moe",
        "qwen3_next_thinking": "qwen3_next", "qwen3_5": "qwen3_5_text", "qwen3_5_moe": "qwen3_5_moe_text",
        "qwen3_coder": "qwen3_moe", "wizardlm2_moe": "mixtral", "openbuddy_mixtral": "mixtral",
        "baichuan2": "baichuan", "chatglm2": "chatglm", "chatglm3": "chatglm", "chatglm4": "chatglm",
        "codegeex4": "chatglm", "glm_edge": "glm", "minicpm_chatml": "minicpm", "deepseek_v2_5": "deepseek_v2",
        "deepseek_r1": "deepseek_v3", "deepseek_v3_1": "deepseek_v3", "moonlight": "deepseek_v3",
        "modern_bert": "modernbert", "modern_bert_gte": "modernbert", "modern_bert_gte_reranker": "modernbert",
    ]

    // MARK: Without successor

    private static let withoutSuccessor: [Rename] = [
        Rename("loss_scale_config_path", .refused("--loss_scale names the way in which tokens are weighted.")),
        Rename(
            "train_dataset_mix_ratio", .refused("Give several datasets with counts: --dataset a.jsonl#500 b.jsonl#500.")
        ),
        Rename(
            "train_dataset_mix_ds", .refused("Give several datasets with counts: --dataset a.jsonl#500 b.jsonl#500.")),
        Rename("test_oom_error", .refused("--max_steps 2 tries whether a run fits into memory.")),
        Rename("gpu_memory_fraction", .refused("Leave it out; memory is used as needed.")),
        Rename("lora_modules", .refused("Give the folder of the adapter with --adapters.")),
        Rename("galore_config", .refused("Give --use_galore true and the flags --galore_…, such as --galore_rank.")),
        Rename("past_index", .refused("Leave it out; no model of Apus has such an output.")),
        Rename("tokenizer_name", .refused("The tokenizer of the model's folder is used.")),
        Rename("dataset_dir", .refused("Give the path of the file with --dataset.")),
        Rename("stage", .dropped("the command says what is done: sft")),
        Rename("flash_attn", .dropped("there is one implementation of attention, whichever is named")),
        Rename("plot_loss", .dropped("the curves are always drawn")),
        Rename("check_dataset_strategy", .dropped("bad rows are always checked; --strict true stops at one")),
        Rename("train_backend", .dropped("there is one way to train")),
        Rename("acc_steps", .dropped("the accuracy is measured at every step")),
        Rename("metric_warmup_step", .dropped("speed is measured from the first step")),
        Rename("fsdp_num", .dropped("one process computes on one device")),
        Rename("model_layer_cls_name", .dropped("one process computes on one device")),
        Rename("channels", .dropped("there is one log")),
        Rename("neftune_backend", .dropped("there is one implementation")),
        Rename("fp16_backend", .dropped("there is one implementation")),
        Rename("half_precision_backend", .dropped("there is one implementation")),
    ]

    // MARK: Values

    /// What other programs call methods and is a kind of LoRA: the options that make it so.
    static let kindsOfLoRA: [String: [(name: String, word: String)]] = [
        "qlora": [("quant_method", "bnb"), ("quant_bits", "4")], "dora": [("use_dora", "true")],
        "qdora": [("quant_method", "bnb"), ("quant_bits", "4"), ("use_dora", "true")],
        "rslora": [("use_rslora", "true")], "pissa": [("init_weights", "pissa")], "olora": [("init_weights", "olora")],
        "loftq": [("init_weights", "loftq")], "lora-ga": [("init_weights", "lora-ga")],
    ]

    private static let dtypes = ["AUTO": "None", "fp16": "float16", "bf16": "bfloat16", "fp32": "float32"]

    /// Older words for the values of options that kept their name.
    static let olderWords: [String: [String: String]] = [
        "acc_strategy": ["sentence": "seq"],
        "truncation_strategy": ["truncation_left": "left", "ignore": "delete"],
        "infer_backend": ["pt": "transformers"],
        "loss_type": ["reranker": "pointwise_reranker"],
        "lora_dtype": dtypes,
        "bnb_4bit_compute_dtype": dtypes,
        "val_dataset_sample": ["-1": "None"],
        "sampler_engine": ["pt": "transformers"],
        "target_modules": layerWords,
        "model_type": families,
        "deepspeed": [
            "default-zero0": "zero0", "default-zero1": "zero1", "default-zero2": "zero2", "default-zero3": "zero3",
            "default-zero2-offload": "zero2_offload", "default-zero3-offload": "zero3_offload",
        ],
    ]

    static func translate(_ words: [String], of option: String) -> [String] {
        words.map { olderWords[option]?[$0] ?? $0 }
    }

    /// Older words with those of today, in the order of the alphabet.
    static func listed(_ words: [String: String]) -> [String] {
        words.sorted { $0.key < $1.key }.map { "\($0.key) → \($0.value)" }
    }
}
