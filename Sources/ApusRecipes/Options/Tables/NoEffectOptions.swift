import ApusAdapters

extension OptionTable {
    private static let everywhere: Set<Command> = [.sft, .infer, .export, .mergeLoRA]
    private static let oneDevice = "one process computes on one device"

    /// Flags whose effect cannot exist in Apus, or only beside others that are refused.
    ///
    /// Each use prints its reason.
    static let noEffectOptions: [CommandOption] = [
        noEffect(
            "there is one implementation of attention, whichever is named", everywhere,
            ["attn_impl": .text]),
        noEffect(oneDevice, everywhere, ["ddp_timeout": .integer, "ddp_backend": .text, "device_groups": .list]),
        noEffect(oneDevice, everywhere, ["use_ray": .boolean, "ray_exp_name": .text]),
        noEffect(
            oneDevice, [.sft],
            [
                "ddp_find_unused_parameters": .boolean, "ddp_bucket_cap_mb": .integer,
                "ddp_broadcast_buffers": .boolean, "ddp_static_graph": .boolean,
                "average_tokens_across_devices": .boolean, "zero_hpz_partition_size": .integer,
                "ds3_gather_for_generation": .boolean, "fsdp": .list, "fsdp_config": .text,
                "accelerator_config": .text, "parallelism_config": .text, "save_on_each_node": .boolean,
                "log_on_each_node": .boolean, "local_rank": .integer, "deepspeed_autotp_size": .integer,
                "eval_use_gather_object": .boolean,
            ]),
        noEffect(
            "weights are mapped from their files and memory is taken as needed", [.infer, .export, .mergeLoRA],
            ["max_memory": .text]),
        noEffect(
            "batches are made by threads of the same process", [.sft],
            [
                "dataloader_pin_memory": .boolean, "dataloader_persistent_workers": .boolean,
                "dataloader_prefetch_factor": .integer, "dataloader_multiprocessing_context": .text,
                "dataloader_in_order": .boolean,
            ]),
        noEffect(
            "the samples of a batch are always laid end to end, without padding", [.sft, .infer],
            ["padding_free": .boolean, "padding_side": .choice(["left", "right"]), "length_column_name": .text]),
        noEffect(
            "logits are only ever computed for the tokens that train", [.sft],
            ["use_logits_to_keep": .boolean, "use_liger_kernel": .boolean, "liger_kernel_config": .text]),
        noEffect("every answer is written when it is there", [.infer], ["write_batch_size": .integer]),
        noEffect(
            "the text of rows is turned into tokens once, before training", [.sft, .infer],
            ["lazy_tokenize": .boolean]),
        noEffect(
            "what lies in the caches of the hubs is taken from there", [.sft, .infer], ["download_mode": .text]),
        noEffect("rows are encoded when they are answered", [.infer], ["load_from_cache_file": .boolean]),
        noEffect(
            "columns that a task does not know never reach the model", [.sft, .infer],
            ["remove_unused_columns": .boolean, "label_names": .list, "include_for_metrics": .list]),
        noEffect(
            "the models of Apus have no vision part", [.sft],
            [
                "freeze_vit": .boolean, "freeze_aligner": .boolean, "vit_gradient_checkpointing": .boolean,
                "vit_lr": .number(.any), "aligner_lr": .number(.any),
            ]),
        noEffect("the models of Apus have no vision part", everywhere, ["max_pixels": .integer, "norm_bbox": .text]),
        noEffect("experts are computed one way", everywhere, ["experts_impl": .text]),
        noEffect("gradient checkpointing has no variants", [.sft], ["gradient_checkpointing_kwargs": .json]),
        noEffect("there is one implementation of adapters", everywhere, ["use_swift_lora": .boolean]),
        noEffect("the files of a model are always checked", [.sft], ["check_model": .boolean]),
        noEffect(
            "no code comes with a model", everywhere, ["local_repo_path": .text, "enable_npu_model_patch": .boolean]),
        noEffect("kernels are compiled with the program", [.sft], compiling),
        noEffect(
            "evaluation computes as training does, and sums up batch by batch", [.sft],
            [
                "bf16_full_eval": .boolean, "fp16_full_eval": .boolean, "eval_accumulation_steps": .integer,
                "eval_do_concat_batches": .boolean, "batch_eval_metrics": .boolean, "prediction_loss_only": .boolean,
                "do_eval": .boolean,
            ]),
        noEffect(
            "two runs with the same settings are always the same", [.sft], ["full_determinism": .boolean]),
        noEffect(
            "a signal always saves before it ends the run, and files appear whole", [.sft],
            ["enable_jit_checkpoint": .boolean, "use_flash_ckpt": .boolean]),
        noEffect("a loss that is not a number stops the run", [.sft], ["logging_nan_inf_filter": .boolean]),
        noEffect("there is one log", [.sft], logging),
        noEffect("nothing is sent, and other services are not reported to", [.sft], services),
        noEffect("the answers of an evaluation are the likeliest tokens", [.sft], answers),
        noEffect(
            "what was written is published once, at the end", [.sft],
            ["hub_strategy": .text, "hub_always_push": .boolean]),
        noEffect("packs are made in one go", [.sft], ["packing_num_proc": .integer]),
        noEffect(
            "only training mixes and packs samples", [.infer, .export, .mergeLoRA],
            ["packing": .boolean, "packing_length": .integer, "packing_num_proc": .integer, "packing_strategy": .text]),
        noEffect(
            "only training mixes and packs samples", [.infer, .export, .mergeLoRA],
            [
                "interleave_prob": .list, "shuffle_buffer_size": .integer, "stopping_strategy": .text,
                "streaming": .boolean,
            ]),
        noEffect(
            "answering has no loss", [.infer, .export, .mergeLoRA],
            ["is_binary_loss_scale": .boolean, "disable_ignore_empty_think": .boolean]),
        noEffect(
            "an export reads no data and writes no answers", [.export, .mergeLoRA],
            ["disable_auto_column_mapping": .boolean]),
        noEffect("it is read only beside --rope_scaling", everywhere, ["max_model_len": .integer]),
        noEffect("it is read only by methods of quantisation that are refused", everywhere, quantizing),
        noEffect("merging writes weights in full; `apus export --quant_method bnb` quantises", [.mergeLoRA], fourBits),
        noEffect("the layers of a model are known here", [.sft], ["reft_layer_key": .text]),
        noEffect("samples are as long as --max_length lets them be", [.sft], ["lora_ga_max_length": .integer]),
        noEffect(
            "it is read only beside --eval_use_evalscope true", [.sft],
            [
                "eval_dataset": .list, "eval_dataset_args": .text, "eval_limit": .integer,
                "eval_generation_config": .text, "extra_eval_args": .text,
            ]),
        noEffect("it is read only by --task_type decision", everywhere, decision),
        noEffect("it is read only by the engine it is named after", [.infer], engines),
        noEffect("answering has no loss", [.infer], ["loss_scale": .text]),
        noEffect("Apus samples answers with its own engine, in the process that trains", [.rlhf], samplers),
        noEffect("answers are measured in the micro-batches that they are learned in", [.rlhf], measuring),
        noEffect("`apus infer` answers a data set after training", [.rlhf], ["num_sample_generations": .integer]),
        noEffect("an export reads no data and writes no answers", [.export, .mergeLoRA], unread),
    ].flatMap(\.self)

    private static let compiling: KeyValuePairs<String, OptionKind> = [
        "torch_compile": .boolean, "torch_compile_backend": .text, "torch_compile_mode": .text, "tf32": .boolean,
        "torch_empty_cache_steps": .integer, "use_cache": .boolean, "auto_find_batch_size": .boolean,
        "skip_memory_metrics": .boolean, "debug": .list,
    ]
    private static let logging: KeyValuePairs<String, OptionKind> = [
        "log_level": .text, "log_level_replica": .text, "include_num_input_tokens_seen": .text,
        "restore_callback_states_from_checkpoint": .boolean,
    ]
    private static let services: KeyValuePairs<String, OptionKind> = [
        "project": .text, "trackio_space_id": .text, "trackio_bucket_id": .text,
        "trackio_static_space_id": .text, "swanlab_token": .text,
        "swanlab_notification_method": .text, "swanlab_webhook_url": .text,
        "swanlab_secret": .text, "swanlab_sender_email": .text, "swanlab_receiver_email": .text,
        "swanlab_smtp_server": .text, "swanlab_smtp_port": .integer, "swanlab_email_language": .text,
        "swanlab_mode": .text,
    ]
    private static let answers: KeyValuePairs<String, OptionKind> = [
        "temperature": .number(.any), "top_k": .integer, "top_p": .number(.any),
        "repetition_penalty": .number(.any), "num_beams": .integer, "stream": .boolean, "stop_words": .list,
        "logprobs": .boolean, "top_logprobs": .integer, "structured_outputs_regex": .text,
        "generation_num_beams": .integer, "generation_config": .text,
        "do_predict": .boolean,
    ]
    private static let quantizing: KeyValuePairs<String, OptionKind> = [
        "hqq_axis": .integer, "quant_n_samples": .integer, "quant_batch_size": .integer, "group_size": .integer,
    ]
    private static let fourBits: KeyValuePairs<String, OptionKind> = [
        "bnb_4bit_compute_dtype": .text, "bnb_4bit_quant_type": .text, "bnb_4bit_use_double_quant": .boolean,
        "bnb_4bit_quant_storage": .text,
    ]
    private static let decision: KeyValuePairs<String, OptionKind> = [
        "decision_drop_instructions": .number(.any), "decision_subsample_options": .integer,
        "decision_state_as_text": .number(.any), "decision_shuffle_fields": .boolean,
    ]
    private static let engines: KeyValuePairs<String, OptionKind> = [
        "vllm_gpu_memory_utilization": .number(.any), "vllm_enable_expert_parallel": .boolean,
        "vllm_max_num_seqs": .integer, "vllm_max_model_len": .integer, "vllm_disable_custom_all_reduce": .boolean,
        "vllm_enforce_eager": .boolean, "vllm_limit_mm_per_prompt": .text, "vllm_max_lora_rank": .integer,
        "vllm_enable_prefix_caching": .boolean, "vllm_use_async_engine": .boolean,
        "vllm_reasoning_parser": .text, "vllm_disable_cascade_attn": .boolean, "vllm_mm_processor_cache_gb": .text,
        "vllm_speculative_config": .text, "vllm_engine_kwargs": .text, "lmdeploy_session_len": .integer,
        "lmdeploy_cache_max_entry_count": .number(.any), "lmdeploy_vision_batch_size": .integer,
        "sglang_enable_ep_moe": .boolean, "sglang_mem_fraction_static": .number(.any),
        "sglang_context_length": .integer, "sglang_disable_cuda_graph": .boolean,
        "sglang_enable_dp_attention": .boolean, "sglang_disable_custom_all_reduce": .boolean,
        "sglang_speculative_algorithm": .text, "sglang_speculative_num_steps": .integer,
        "sglang_speculative_eagle_topk": .integer, "sglang_speculative_num_draft_tokens": .integer,
    ]
    private static let samplers: KeyValuePairs<String, OptionKind> = [
        "use_vllm": .boolean, "vllm_mode": .text, "vllm_max_num_seqs": .integer, "vllm_enable_prefix_caching": .boolean,
        "vllm_enable_lora": .boolean, "vllm_server_base_url": .list, "vllm_server_host": .list,
        "vllm_server_port": .list, "vllm_server_timeout": .number(.any), "vllm_server_group_port": .list,
        "vllm_server_pass_dataset": .boolean, "vllm_gpu_memory_utilization": .number(.any),
        "vllm_tensor_parallel_size": .integer, "vllm_pipeline_parallel_size": .integer,
        "vllm_data_parallel_size": .integer, "vllm_enable_expert_parallel": .boolean, "vllm_max_model_len": .integer,
        "vllm_disable_custom_all_reduce": .boolean, "vllm_enforce_eager": .boolean, "vllm_limit_mm_per_prompt": .text,
        "vllm_max_lora_rank": .integer, "vllm_use_async_engine": .boolean, "vllm_reasoning_parser": .text,
        "vllm_disable_cascade_attn": .boolean, "vllm_mm_processor_cache_gb": .text, "vllm_speculative_config": .text,
        "vllm_engine_kwargs": .text, "enable_flattened_weight_sync": .boolean, "sleep_level": .integer,
        "move_model_batches": .integer, "offload_optimizer": .boolean, "offload_model": .boolean,
    ]
    private static let measuring: KeyValuePairs<String, OptionKind> = ["local_rollout_forward_batch_size": .integer]
    private static let unread: KeyValuePairs<String, OptionKind> = [
        "dataset": .list, "val_dataset": .list, "custom_dataset_info": .list, "split_dataset_ratio": .number(.any),
        "columns": .text,
        "data_seed": .integer, "dataset_num_proc": .integer, "dataset_shuffle": .boolean,
        "val_dataset_shuffle": .boolean, "load_data_args": .boolean, "load_from_cache_file": .boolean,
        "lazy_tokenize": .boolean, "remove_unused_columns": .boolean, "download_mode": .text, "strict": .boolean,
        "model_name": .list, "model_author": .list, "seed": .integer, "max_length": .integer,
        "truncation_strategy": .text, "system": .text, "padding_side": .text, "padding_free": .boolean,
        "loss_scale": .text, "use_chat_template": .boolean, "template": .text, "template_backend": .text,
        "agent_template": .text, "enable_thinking": .boolean, "preserve_thinking": .boolean,
        "add_non_thinking_prefix": .boolean, "max_new_tokens": .integer,
        "temperature": .number(.any), "top_k": .integer, "top_p": .number(.any), "repetition_penalty": .number(.any),
        "num_beams": .integer, "stream": .boolean, "stop_words": .list, "logprobs": .boolean,
        "top_logprobs": .integer, "structured_outputs_regex": .text, "template_mode": .text, "thread_count": .integer,
        "test_convert_precision": .boolean, "test_convert_dtype": .text, "save_missing_weights": .boolean,
        "to_peft_format": .boolean,
    ]

    private static func noEffect(
        _ reason: String, _ commands: Set<Command>, _ kinds: KeyValuePairs<String, OptionKind>
    ) -> [CommandOption] {
        kinds.map { name, kind in
            let known = commands.filter { MSSwiftFields.names(of: $0).contains(name) }
            return CommandOption(name, kind, reason, in: .noEffect, for: known, status: .noEffect(reason))
        }
    }
}
