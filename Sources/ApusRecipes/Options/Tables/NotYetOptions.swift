/// What to say of flags of ms-swift that Apus does not have yet.
enum NotYetOptions {
    /// Values that describe what Apus does anyway.
    ///
    /// A flag given with such a value asks for nothing and is accepted, so that a command which spells out ms-swift's
    /// defaults runs.
    static let valuesAlreadyTrue: [String: Set<String>] = {
        var values: [String: Set<String>] = [
            "tuner_backend": ["peft"], "template_backend": ["swift"], "lora_bias": ["none"], "optimizer": ["default"],
            "logging_strategy": ["steps"], "acc_strategy": ["token"],
            "train_sampling_strategy": ["random"], "num_beams": ["1"], "sequence_parallel_size": ["1"],
            "router_aux_loss_coef": ["0", "0.0"], "label_smoothing_factor": ["0", "0.0"], "eval_delay": ["0"],
            "freeze_parameters_ratio": ["0", "0.0"], "lisa_activated_layers": ["0"], "device_map": ["auto"],
            "dataloader_in_order": ["true"], "remove_unused_columns": ["true"], "safe_serialization": ["true"],
            "skip_memory_metrics": ["true"], "do_train": ["true"],
        ]
        let offByDefault = """
            packing streaming lazy_tokenize use_ray use_hf use_dora use_swift_lora freeze_llm use_galore use_vllm
            enable_dft_loss enable_channel_loss check_model group_by_length predict_with_generate eval_use_evalscope
            use_flash_ckpt bf16_full_eval fp16_full_eval tf32 torch_compile use_cache auto_find_batch_size
            logging_nan_inf_filter prediction_loss_only eval_on_start batch_eval_metrics save_on_each_node
            enable_jit_checkpoint push_to_hub hub_private_repo hub_always_push load_best_model_at_end ignore_data_skip
            sortish_sampler do_eval do_predict logprobs to_cached_dataset to_ollama to_mcore to_hf to_peft_format
            disable_auto_column_mapping decision_shuffle_fields test_convert_precision ddp_static_graph
            """
        for name in offByDefault.split(whereSeparator: \.isWhitespace) { values[String(name)] = ["false"] }
        return values
    }()

    /// What to do instead, where there is something.
    static let advice: [String: String] = [
        "template": "The chat template of the model's own folder is used; leave the flag out.",
        "use_hf": "Download the model or dataset first and give its folder.",
        "hub_token": "Download the model or dataset first and give its folder.",
        "model_revision": "Download that revision first and give its folder.",
        "deepspeed": "Apus trains on one device; leave the flag out.",
        "fsdp": "Apus trains on one device; leave the flag out.",
        "packing": "Short samples already share a batch without padding: raise --per_device_train_batch_size.",
        "group_by_length": "Batches have no padding, so grouping by length would save nothing.",
        "external_plugins": "Apus runs no code that is given as a file.",
        "custom_register_path": "Apus runs no code that is given as a file.",
        "quant_method": "Leave it out to train on the weights in --torch_dtype.",
        "quant_bits": "Leave it out to train on the weights in --torch_dtype.",
        "modules_to_save": "--tuner_type full trains every weight.",
        "use_dora": "--use_rslora true is available.",
        "safe_serialization": "Weights are always written as safetensors.",
        "load_best_model_at_end": "--create_checkpoint_symlink true keeps a link to the best checkpoint.",
    ]
}
