extension MSSwiftFields {
    private static let everyModelCommand: Set<Command> = [
        .sft, .pt, .rlhf, .infer, .deploy, .rollout, .app, .eval, .export, .mergeLoRA, .sample,
    ]
    private static let training: Set<Command> = [.sft, .pt, .rlhf]
    private static let serving: Set<Command> = [.infer, .deploy, .rollout, .app, .eval]

    /// The argument classes of ms-swift 4.6.0, but those of reinforcement learning.
    static let general: [MSSwiftFields] = [
        MSSwiftFields(
            "BaseArguments", everyModelCommand,
            """
            tuner_backend tuner_type adapters external_plugins custom_register_path seed model_kwargs
            enable_npu_model_patch load_args load_data_args packing packing_length packing_num_proc packing_strategy
            lazy_tokenize use_hf hub_token ddp_timeout ddp_backend ignore_args_error use_swift_lora
            """),
        MSSwiftFields(
            "ModelArguments", everyModelCommand,
            """
            model model_type model_revision task_type torch_dtype attn_impl experts_impl new_special_tokens num_labels
            problem_type rope_scaling device_map max_memory max_model_len local_repo_path init_strategy
            """),
        MSSwiftFields(
            "DataArguments", everyModelCommand,
            """
            dataset val_dataset cached_dataset cached_val_dataset split_dataset_ratio data_seed dataset_num_proc
            load_from_cache_file dataset_shuffle val_dataset_shuffle streaming interleave_prob stopping_strategy
            shuffle_buffer_size download_mode columns strict remove_unused_columns disable_auto_column_mapping
            model_name model_author custom_dataset_info decision_drop_instructions decision_subsample_options
            decision_state_as_text decision_shuffle_fields
            """),
        MSSwiftFields(
            "TemplateArguments", everyModelCommand,
            """
            template system max_length truncation_strategy max_pixels agent_template norm_bbox use_chat_template
            padding_side padding_free loss_scale sequence_parallel_size is_binary_loss_scale template_backend
            response_prefix enable_thinking preserve_thinking add_non_thinking_prefix disable_ignore_empty_think
            """),
        MSSwiftFields(
            "GenerationArguments", everyModelCommand,
            """
            max_new_tokens temperature top_k top_p repetition_penalty num_beams stream stop_words logprobs
            top_logprobs structured_outputs_regex
            """),
        MSSwiftFields(
            "QuantizeArguments", everyModelCommand,
            """
            quant_method quant_bits hqq_axis bnb_4bit_compute_dtype bnb_4bit_quant_type bnb_4bit_use_double_quant
            bnb_4bit_quant_storage
            """),
        MSSwiftFields(
            "RayArguments", everyModelCommand,
            """
            use_ray ray_exp_name device_groups
            """),
        MSSwiftFields(
            "TunerArguments", training,
            """
            freeze_parameters freeze_parameters_regex freeze_parameters_ratio trainable_parameters
            trainable_parameters_regex freeze_llm freeze_vit freeze_aligner target_modules target_regex
            target_parameters modules_to_save lora_rank lora_alpha lora_dropout lora_bias lora_dtype lorap_lr_ratio
            use_rslora use_dora lora_ga_batch_size lora_ga_iters lora_ga_max_length lora_ga_direction lora_ga_scale
            lora_ga_stable_gamma init_weights fourier_n_frequency fourier_scaling boft_block_size boft_block_num
            boft_n_butterfly_factor boft_dropout vera_rank vera_projection_prng_key vera_dropout vera_d_initial
            adapter_act adapter_length adalora_target_r adalora_init_r adalora_tinit adalora_tfinal adalora_deltaT
            adalora_beta1 adalora_beta2 adalora_orth_reg_weight llamapro_num_new_blocks llamapro_num_groups
            reft_layer_key reft_layers reft_rank reft_intervention_type reft_args
            """),
        MSSwiftFields(
            "SftArguments", training,
            """
            add_version create_checkpoint_symlink output_dir learning_rate eval_strategy fp16 bf16 max_new_tokens
            temperature load_args zero_hpz_partition_size deepspeed_autotp_size fsdp
            """),
        MSSwiftFields(
            "TrainArgumentsMixin", training,
            """
            per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps tuner_backend
            gradient_checkpointing vit_gradient_checkpointing gradient_checkpointing_kwargs logging_first_step
            logging_steps router_aux_loss_coef enable_dft_loss enable_channel_loss safe_serialization max_shard_size
            weight_decay adam_beta2 lr_scheduler_type lr_scheduler_kwargs report_to dataloader_num_workers
            dataloader_persistent_workers dataloader_prefetch_factor dataloader_multiprocessing_context
            use_liger_kernel check_model acc_strategy train_dataloader_shuffle group_by_length max_epochs aligner_lr
            vit_lr use_logits_to_keep ds3_gather_for_generation resume_only_model optimizer loss_type mrl_dims
            eval_metric callbacks early_stop_interval eval_use_evalscope eval_dataset eval_dataset_args eval_limit
            eval_generation_config extra_eval_args tuner_type use_galore galore_target_modules galore_rank
            galore_update_proj_gap galore_scale galore_proj_type galore_optim_per_parameter galore_with_embedding
            galore_quantization galore_proj_quant galore_proj_bits galore_proj_group_size galore_cos_threshold
            galore_gamma_proj galore_queue_size lisa_activated_layers lisa_step_interval use_flash_ckpt logging_dir
            warmup_ratio
            """),
        MSSwiftFields(
            "HfTrainingArguments", training,
            """
            num_train_epochs max_steps warmup_steps optim optim_args adam_beta1 adam_epsilon optim_target_modules
            average_tokens_across_devices max_grad_norm label_smoothing_factor bf16_full_eval fp16_full_eval tf32
            torch_compile torch_compile_backend torch_compile_mode liger_kernel_config use_cache neftune_noise_alpha
            torch_empty_cache_steps auto_find_batch_size logging_strategy log_on_each_node logging_nan_inf_filter
            include_num_input_tokens_seen log_level log_level_replica disable_tqdm run_name project trackio_space_id
            trackio_bucket_id trackio_static_space_id eval_steps eval_delay prediction_loss_only eval_on_start
            eval_do_concat_batches eval_use_gather_object eval_accumulation_steps include_for_metrics
            batch_eval_metrics save_only_model save_strategy save_steps save_on_each_node save_total_limit
            enable_jit_checkpoint push_to_hub hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision
            load_best_model_at_end metric_for_best_model greater_is_better ignore_data_skip
            restore_callback_states_from_checkpoint full_determinism use_cpu accelerator_config parallelism_config
            dataloader_drop_last dataloader_pin_memory dataloader_in_order label_names train_sampling_strategy
            length_column_name ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph
            fsdp_config deepspeed debug skip_memory_metrics do_train do_eval do_predict resume_from_checkpoint
            local_rank
            """),
        MSSwiftFields(
            "HfSeq2SeqTrainingArguments", training,
            """
            sortish_sampler predict_with_generate generation_max_length generation_num_beams generation_config
            """),
        MSSwiftFields(
            "SwanlabArguments", training,
            """
            swanlab_token swanlab_project swanlab_workspace swanlab_exp_name swanlab_notification_method
            swanlab_webhook_url swanlab_secret swanlab_sender_email swanlab_receiver_email swanlab_smtp_server
            swanlab_smtp_port swanlab_email_language swanlab_mode
            """),
        MSSwiftFields(
            "PretrainArguments", [.pt],
            """
            use_chat_template loss_scale
            """),
        MSSwiftFields(
            "VllmArguments", [.rlhf, .infer, .deploy, .rollout, .app, .eval],
            """
            vllm_gpu_memory_utilization vllm_tensor_parallel_size vllm_pipeline_parallel_size
            vllm_enable_expert_parallel vllm_max_num_seqs vllm_max_model_len vllm_disable_custom_all_reduce
            vllm_enforce_eager vllm_limit_mm_per_prompt vllm_max_lora_rank vllm_enable_prefix_caching
            vllm_use_async_engine vllm_quantization vllm_reasoning_parser vllm_disable_cascade_attn
            vllm_mm_processor_cache_gb vllm_speculative_config vllm_engine_kwargs vllm_data_parallel_size
            """),
        MSSwiftFields(
            "InferArguments", serving,
            """
            infer_backend result_path write_batch_size metric max_batch_size val_dataset_sample
            reranker_use_activation
            """),
        MSSwiftFields(
            "MergeArguments", [.infer, .deploy, .rollout, .app, .eval, .export, .mergeLoRA],
            """
            merge_lora safe_serialization max_shard_size
            """),
        MSSwiftFields(
            "LmdeployArguments", serving,
            """
            lmdeploy_tp lmdeploy_session_len lmdeploy_cache_max_entry_count lmdeploy_quant_policy
            lmdeploy_vision_batch_size
            """),
        MSSwiftFields(
            "SglangArguments", serving,
            """
            sglang_tp_size sglang_pp_size sglang_dp_size sglang_ep_size sglang_enable_ep_moe
            sglang_mem_fraction_static sglang_context_length sglang_disable_cuda_graph sglang_quantization
            sglang_kv_cache_dtype sglang_enable_dp_attention sglang_disable_custom_all_reduce
            sglang_speculative_algorithm sglang_speculative_num_steps sglang_speculative_eagle_topk
            sglang_speculative_num_draft_tokens
            """),
        MSSwiftFields(
            "DeployArguments", [.deploy, .rollout, .app, .eval],
            """
            host port api_key ssl_keyfile ssl_certfile owned_by served_model_name verbose log_interval log_level
            max_logprobs vllm_use_async_engine
            """),
        MSSwiftFields(
            "RolloutArguments", [.rollout],
            """
            vllm_use_async_engine use_gym_env multi_turn_scheduler max_turns vllm_enable_lora vllm_max_lora_rank
            gym_env context_manager
            """),
        MSSwiftFields(
            "EvalArguments", [.eval],
            """
            eval_dataset eval_limit eval_dataset_args eval_generation_config eval_output_dir eval_backend
            local_dataset temperature verbose eval_num_proc extra_eval_args eval_url
            """),
        MSSwiftFields(
            "ExportArguments", [.export, .mergeLoRA],
            """
            output_dir quant_method quant_n_samples quant_batch_size group_size to_cached_dataset template_mode
            to_ollama to_mcore to_hf mcore_model mcore_adapter thread_count test_convert_precision test_convert_dtype
            save_missing_weights push_to_hub hub_model_id hub_private_repo commit_message to_peft_format exist_ok
            """),
        MSSwiftFields(
            "AppArguments", [.app],
            """
            base_url studio_title is_multimodal lang verbose stream
            """),
        MSSwiftFields(
            "WebUIArguments", [.app, .webUI],
            """
            server_name server_port share lang
            """),
        MSSwiftFields(
            "SamplingArguments", [.sample],
            """
            prm_model orm_model sampler_type sampler_engine output_dir output_file resume override_exist_file
            num_return_sequences num_sampling_batch_size num_sampling_batches n_best_to_keep data_range temperature
            prm_threshold easy_query_threshold engine_kwargs cache_files
            """),
    ]
}
