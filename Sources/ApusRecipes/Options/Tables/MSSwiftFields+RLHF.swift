extension MSSwiftFields {
    /// The argument classes that only `rlhf` of ms-swift 4.6.0 has.
    static let reinforcement: [MSSwiftFields] = [
        MSSwiftFields(
            "RLHFArguments", [.rlhf],
            """
            rlhf_type ref_model ref_adapters ref_model_type ref_model_revision beta label_smoothing
            max_completion_length loss_scale rpo_alpha ld_alpha discopop_tau loss_type loss_weights cpo_alpha
            simpo_gamma desirable_weight undesirable_weight temperature center_rewards_coefficient sft_alpha lmbda
            seq_kd gkd_logits_topk max_new_tokens
            """),
        MSSwiftFields(
            "TeacherModelArguments", [.rlhf],
            """
            teacher_model teacher_adapters teacher_model_type teacher_model_revision teacher_deepspeed
            teacher_model_server offload_teacher_model
            """),
        MSSwiftFields(
            "RewardModelArguments", [.rlhf],
            """
            reward_model reward_adapters reward_model_type reward_model_revision reward_template
            """),
        MSSwiftFields(
            "PPOArguments", [.rlhf],
            """
            num_ppo_epochs whiten_rewards kl_coef cliprange vf_coef cliprange_value gamma lam num_mini_batches
            local_rollout_forward_batch_size num_sample_generations response_length missing_eos_penalty
            """),
        MSSwiftFields(
            "GRPOArguments", [.rlhf],
            """
            num_generations reward_funcs reward_weights log_completions num_iterations truncation_strategy
            """),
        MSSwiftFields(
            "GRPOArgumentsMixin", [.rlhf],
            """
            epsilon epsilon_high delta cosine_min_len_value_wrong cosine_max_len_value_wrong
            cosine_min_len_value_correct cosine_max_len_value_correct cosine_max_len repetition_n_grams
            repetition_max_penalty reward_model reward_model_plugin chord_sft_dataset
            chord_sft_per_device_train_batch_size chord_enable_phi_function chord_mu_warmup_steps chord_mu_decay_steps
            chord_mu_peak chord_mu_valley sync_ref_model ref_model_sync_steps ref_model_mixup_alpha
            multi_turn_scheduler max_turns completion_length_limit_scope vllm_server_pass_dataset use_gym_env gym_env
            dynamic_sample max_resample_times overlong_filter soft_max_length soft_cache_length scale_rewards
            log_entropy top_entropy_quantile importance_sampling_level tau_pos tau_neg advantage_estimator
            kl_in_reward teacher_kl_coef advantage_reweight rlsd_lambda rlsd_reweight_clip_range
            rlsd_lambda_warmup_steps rlsd_lambda_decay_steps rlsd_negative_only sdar_loss_coef sdar_gate_beta real_tau
            fipo_decay_rate fipo_clip_range fipo_clip_high_only fipo_safety_threshold num_generations_eval
            dataset_shuffle rollout_importance_sampling_mode rollout_importance_sampling_threshold
            log_rollout_offpolicy_metrics off_policy_sequence_mask_delta
            """),
        MSSwiftFields(
            "RolloutTrainerArgumentsMixin", [.rlhf],
            """
            top_k top_p min_p repetition_penalty stop_words use_vllm vllm_mode vllm_max_num_seqs
            vllm_enable_prefix_caching vllm_enable_lora lora_rank vllm_server_base_url vllm_server_host
            vllm_server_port vllm_server_timeout vllm_server_group_port enable_flattened_weight_sync async_generate
            structured_outputs_regex sleep_level move_model_batches offload_optimizer offload_model
            wandb_log_unique_prompts generation_batch_size steps_per_generation teacher_tag_key
            """),
    ]
}
