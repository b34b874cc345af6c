import ApusJSON
import Foundation

/// What to say of flags of ms-swift that Apus does not have yet, all of which would change what is computed or written.
enum NotYetOptions {
    /// Values that describe what Apus does anyway.
    ///
    /// A flag given with such a value asks for nothing and is accepted, so that a command which spells out ms-swift's
    /// defaults runs.
    static let valuesAlreadyTrue: [String: Set<String>] = {
        var values: [String: Set<String>] = [
            "train_sampling_strategy": ["random"], "sequence_parallel_size": ["1"],
            "packing": ["false"], "streaming": ["false"], "is_binary_loss_scale": ["true"],
            "label_smoothing_factor": ["0", "0.0"], "enable_dft_loss": ["false"], "enable_channel_loss": ["false"],
            "acc_strategy": ["token"], "neftune_noise_alpha": ["0", "0.0"],
            "safe_serialization": ["true"], "max_shard_size": ["5gb"],
            "response_prefix": [""], "engine_kwargs": ["{}"], "num_beams": ["1"], "do_train": ["true"],
            "quant_bits": ["0"], "model_kwargs": ["{}"],
            "vllm_tensor_parallel_size": ["1"], "vllm_pipeline_parallel_size": ["1"], "vllm_data_parallel_size": ["1"],
            "completion_length_limit_scope": ["per_round"], "sdar_loss_coef": ["0", "0.0"],
            "lmdeploy_tp": ["1"], "lmdeploy_quant_policy": ["0"], "sglang_tp_size": ["1"], "sglang_pp_size": ["1"],
            "sglang_dp_size": ["1"], "sglang_ep_size": ["1"], "sglang_kv_cache_dtype": ["auto"],
        ]
        let offByDefault = """
            freeze_llm galore_optim_per_parameter use_vllm
            eval_use_evalscope ignore_data_skip sortish_sampler
            to_cached_dataset to_ollama to_mcore to_hf
            async_generate use_gym_env
            rlsd_negative_only wandb_log_unique_prompts
            """
        for name in offByDefault.split(whereSeparator: \.isWhitespace) { values[String(name)] = ["false"] }
        return values
    }()

    /// Values whose effect cannot exist here, with the reason: the flag is accepted and the reason printed.
    static func reason(_ field: String, _ words: [String]) -> String? {
        let value = words.first?.lowercased() ?? "true"
        switch field {
        case "tuner_backend" where ["peft", "unsloth", "swift"].contains(value):
            return "there is one implementation of adapters"
        case "device_map" where value != "cpu" && !value.contains("mps"):
            return "one process computes on one device; --device chooses it"
        case "deepspeed" where DeepSpeedSetting(value: words.first ?? "").isWithoutEffect:
            return "one process computes on one device"
        default: return nil
        }
    }

    /// A value of each field above whose effect cannot exist here.
    static let usualValues: [String: String] = ["tuner_backend": "peft", "device_map": "auto", "deepspeed": "zero2"]

    /// Words of ms-swift that are read as other words, with the reason.
    static let substitutes: [(option: String, words: [String], other: String, reason: String)] = [
        (
            "report_to", ["mlflow", "comet_ml", "trackio", "clearml", "dvclive", "neptune", "all"],
            "tensorboard", "the log goes to logging.jsonl, TensorBoard, wandb and swanlab; this is not there yet"
        ),
        ("infer_backend", ["vllm", "sglang", "lmdeploy"], "transformers", "Apus answers with its own engine"),
        ("sampler_engine", ["vllm", "lmdeploy"], "transformers", "Apus answers with its own engine"),
        (
            "optim", ["adamw_hf", "adamw_torch_npu_fused", "adamw_apex_fused"], "adamw_torch",
            "it is AdamW in another implementation"
        ),
        ("optim", ["paged_adamw"], "paged_adamw_32bit", "these are its 32 bits"),
        ("optim", ["adamw_bnb_8bit"], "adamw_8bit", "it is the same optimizer"),
    ]

    /// What a word stands for that names another way to the same numbers, with the reason.
    static func substitute(_ word: String, of option: String) -> (word: String, reason: String)? {
        substitutes.first { $0.option == option && $0.words.contains(word) }.map { ($0.other, $0.reason) }
    }

    /// What to do instead, by command where that matters.
    static func advice(_ field: String, _ command: Command) -> String? {
        if command == .export || command == .mergeLoRA, let advice = exportAdvice[field] { return advice }
        if command == .rlhf, let advice = preferenceAdvice(field) { return advice }
        if command == .sample, field == "external_plugins" {
            return "Give rewards as programs: --reward_funcs ./score.py."
        }
        return advice[field]
    }

    private static let quantizing =
        "Merging writes weights in full. `apus export --adapters … --merge_lora true --quant_method bnb --quant_bits 4` "
        + "quantises what was merged."
    static let exportAdvice: [String: String] = [
        "quant_method": quantizing, "quant_bits": quantizing,
        "to_ollama":
            "`--to_gguf true` writes a GGUF file and the Modelfile that `ollama create` takes, also with --adapters … "
            + "--merge_lora true.",
        "safe_serialization": "Weights are always written as safetensors.",
    ]
    static let advice: [String: String] = [
        "response_prefix": "Write it into the answers of the data.",
        "deepspeed": "Apus trains on one device with the optimizer of its own flags; leave this out, and give what the "
            + "file says of optimizer and scheduler with --optim, --learning_rate and --lr_scheduler_type.",
        "device_map": "Give --device cpu, cuda or mps.",
        "sequence_parallel_size": "Apus computes on one device; leave it out. Long samples need no padding here.",
        "cached_dataset": "Give the files it was made from with --dataset; preparing them takes seconds.",
        "cached_val_dataset": "Give the files it was made from with --val_dataset; preparing them takes seconds.",
        "train_sampling_strategy":
            "For the order of the file: --train_dataloader_shuffle false --dataset_shuffle false; for group_by_length: "
            + "--group_by_length true.",
        "sortish_sampler": "Batches have no padding, so sorting by length would save nothing.",
        "external_plugins": "Apus runs no code that is given as a file.",
        "custom_register_path": "Apus runs no code that is given as a file.",
        "model_kwargs": "Leave it out; these are settings of models for pictures, sound and video.",
        "rope_scaling": "Write it into the model's config.json as \"rope_scaling\".",
        "new_special_tokens":
            "Leave it out; `apus sft --new_special_tokens` writes a model that has them, and its path is in args.json.",
        "init_strategy": "Leave it out; what a model lacks starts as its authors' code does it.",
        "freeze_llm": "--tuner_type lora leaves the model's weights as they are.",
        "galore_optim_per_parameter": "Leave it out; one optimizer moves all weights.",
        "mrl_dims": "Leave it out; vectors are trained in full length.",
        "hub_revision": "Leave it out; what is published goes to the main branch.",
        "eval_metric": "Leave it out; each task measures what fits it.",
        "eval_use_evalscope": "Leave it out, and evaluate the merged model with EvalScope.",
        "do_train": "Leave it out; sft trains.",
        "ignore_data_skip": "Leave it out; going on costs no time.",
        "tuner_backend": "Leave it out; there is one implementation of adapters.",
        "safe_serialization": "Weights are always written as safetensors.",
        "max_shard_size": "Checkpoints have files of at most 5GB; `apus export --max_shard_size` writes others.",
        "vllm_tensor_parallel_size": "Apus computes on one device; leave it out.",
        "vllm_pipeline_parallel_size": "Apus computes on one device; leave it out.",
        "vllm_data_parallel_size": "Apus computes on one device; leave it out.",
        "vllm_quantization": "Leave it out to compute with the weights in --torch_dtype.",
        "sglang_quantization": "Leave it out to compute with the weights in --torch_dtype.",
        "sglang_tp_size": "Apus computes on one device; leave it out.",
        "sglang_pp_size": "Apus computes on one device; leave it out.",
        "sglang_dp_size": "Apus computes on one device; leave it out.",
        "sglang_ep_size": "Apus computes on one device; leave it out.",
        "sglang_kv_cache_dtype": "Leave it out; keys and values are kept in --torch_dtype.",
        "lmdeploy_tp": "Apus computes on one device; leave it out.",
        "lmdeploy_quant_policy": "Leave it out, or give 0.",
        "engine_kwargs": "Leave it out; these are settings of engines that Apus has not.",
        "num_beams": "Leave it out; sampling draws answers, and a beam search looks for the likeliest.",
        "to_cached_dataset": "`apus sft` prepares data in seconds; leave it out.",
        "to_mcore": "Leave it out; Apus writes Hugging Face folders.",
        "to_hf": "Leave it out; Apus writes Hugging Face folders.",
        "mcore_model": "Give the folder of a Hugging Face model with --model.",
        "mcore_adapter": "Give the folder of a PEFT adapter with --adapters.",
    ]
}

/// The value of `--deepspeed`: the name of a preset, or a configuration as JSON or in a file.
struct DeepSpeedSetting {
    /// Whether it only says how work is spread over devices, and not what is computed.
    let isWithoutEffect: Bool

    init(value: String) {
        let presets = ["zero0", "zero1", "zero2", "zero3", "zero2_offload", "zero3_offload"]
        let data = value.hasPrefix("{") ? Data(value.utf8) : FileManager.default.contents(atPath: value)
        let text = data.map { String(decoding: $0, as: UTF8.self) }
        let object = text.flatMap { (try? JSONValue(parsing: $0))?.objectValue }
        isWithoutEffect =
            if let object { object["optimizer"] == nil && object["scheduler"] == nil } else {
                presets.contains(value.lowercased()) || value.hasSuffix(".json") || value.isEmpty
            }
    }
}
