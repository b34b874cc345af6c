import ApusAdapters
import ApusJSON
import ApusTorch
import ApusWeights
import Testing

@testable import ApusRecipes

struct SettingsTests {
    func sft(_ words: String) throws -> SFTSettings {
        var notices: [String] = []
        let words = "--model m --dataset d.jsonl \(words)".split(separator: " ").map(String.init)
        return try SFTSettings(try ArgumentLine(words, for: .sft), notices: &notices)
    }

    func infer(_ words: String) throws -> InferSettings {
        var notices: [String] = []
        return try InferSettings(
            try ArgumentLine(words.split(separator: " ").map(String.init), for: .infer), notices: &notices)
    }

    /// A list that nobody gave is not said to be without effect.
    @Test func listsThatAreNotGiven() throws {
        func said<Settings: CommandSettings>(of settings: Settings) -> String? {
            let empty = Settings.fields.filter { $0.read(settings) == .list([]) }.map(\.name)
            #expect(!empty.isEmpty)
            return settings.withoutEffect(empty, because: "it is a test")
        }
        var settings = try infer("--model m")
        #expect(said(of: settings) == nil)
        #expect(try said(of: sft("")) == nil)
        #expect(settings.withoutEffect(["adapter_names"], because: "--compare is false") == nil)
        settings.adapterNames = ["one"]
        #expect(
            settings.withoutEffect(["adapter_names"], because: "--compare is false")
                == "--adapter_names: without effect, because --compare is false.")
    }

    /// The defaults of ms-swift 4.6.0, resolved for `--model m --dataset d.jsonl` without validation data.
    private static let defaults: JSONObject = [
        "model": "m", "model_type": nil, "torch_dtype": nil, "task_type": "causal_lm", "num_labels": nil,
        "problem_type": nil, "multi_label_format": nil, "print_model": false, "tuner_type": "lora",
        "adapters": [], "load_args": false, "load_data_args": false, "new_special_tokens": [], "seed": 42,
        "dataset": ["d.jsonl"],
        "val_dataset": [], "split_dataset_ratio": 0, "columns": nil, "strict": false, "data_seed": 42,
        "dataset_shuffle": true, "val_dataset_shuffle": false, "train_dataloader_shuffle": true, "dataset_num_proc": 1,
        "dataloader_num_workers": 1, "dataloader_drop_last": false, "model_name": nil, "model_author": nil,
        "custom_dataset_info": [], "use_hf": nil, "model_revision": nil, "push_to_hub": false, "hub_model_id": nil,
        "hub_private_repo": false,
        "prompt_format": nil, "disable_auto_column_mapping": false, "interleave_prob": [],
        "stopping_strategy": "first_exhausted", "max_dropped_ratio": 0.5, "packing": false, "packing_length": nil,
        "packing_strategy": "binpack", "group_by_length": false, "streaming": false, "shuffle_buffer_size": 1000,
        "is_binary_loss_scale": nil, "disable_ignore_empty_think": false, "router_aux_loss_coef": nil,
        "system": nil, "max_length": nil, "truncation_strategy": "delete", "use_chat_template": true,
        "pair_format": "Sentence 1: {text1}\nSentence 2: {text2}", "mlm_probability": 0.15,
        "loss_scale": "default", "max_target_length": nil, "template": nil, "template_backend": "swift",
        "agent_template": nil, "enable_thinking": nil, "preserve_thinking": nil, "add_non_thinking_prefix": true,
        "lora_rank": 8, "lora_alpha": 32, "lora_dropout": 0.05,
        "target_modules": ["all-linear"], "target_regex": nil, "use_rslora": false, "init_weights": true,
        "lora_dtype": nil, "num_train_epochs": 3, "max_epochs": nil, "max_steps": -1, "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 16, "loss_type": nil, "infonce_temperature": 0.1, "learning_rate": 1e-4,
        "lr_scheduler_type": "cosine", "lr_scheduler_kwargs": nil, "optimizer": nil, "optim_args": nil,
        "warmup_ratio": 0, "warmup_steps": 0, "optim": "adamw_torch_fused", "weight_decay": 0.1, "adam_beta1": 0.9,
        "adam_beta2": 0.95,
        "adam_epsilon": 1e-8, "max_grad_norm": 1, "gradient_checkpointing": nil, "max_memory": nil, "bf16": nil,
        "fp16": nil,
        "nan_policy": "stop", "resume_from_checkpoint": nil, "resume_only_model": false,
        "per_device_eval_batch_size": 1, "eval_strategy": "no", "eval_steps": nil, "save_strategy": "steps",
        "save_steps": 500, "save_total_limit": nil, "save_only_model": false, "metric_for_best_model": "loss",
        "greater_is_better": false, "predict_with_generate": false, "generation_max_length": nil,
        "max_new_tokens": 64, "eval_epochs": nil, "save_epochs": 1, "eval_on_start": false, "eval_delay": 0,
        "early_stop_interval": nil, "callbacks": [], "load_best_model_at_end": false, "logging_strategy": "steps",
        "label_smoothing_factor": 0, "neftune_noise_alpha": nil, "enable_dft_loss": false,
        "enable_channel_loss": false, "acc_strategy": "token",
        "output_dir": "output/m", "add_version": true, "overwrite_output_dir": false,
        "create_checkpoint_symlink": false,
        "logging_steps": 5, "logging_first_step": true, "logging_dir": nil, "report_to": ["tensorboard"],
        "disable_tqdm": nil, "device": nil, "use_cpu": false, "use_dora": false, "feedforward_modules": nil,
        "num_virtual_tokens": 20, "prompt_tuning_init": "RANDOM", "prompt_tuning_init_text": nil,
        "prefix_projection": false, "encoder_hidden_size": nil, "prefix_init_weights": "random",
        "encoder_reparameterization_type": "MLP", "encoder_num_layers": 2, "encoder_dropout": 0,
        "adalora_init_r": 12, "adalora_target_r": 8, "adalora_tinit": 0, "adalora_tfinal": 0, "adalora_deltaT": 1,
        "adalora_beta1": 0.85, "adalora_beta2": 0.85, "adalora_orth_reg_weight": 0.5,
        "adapter_length": 128, "adapter_act": "gelu", "trainable_token_indices": nil, "vera_rank": 256,
        "vera_projection_prng_key": 0, "vera_dropout": 0, "vera_d_initial": 0.1, "save_projection": true,
        "token_indices": nil, "randlora_rank": 32, "randlora_alpha": 640, "randlora_dropout": 0,
        "randlora_projection_prng_key": 0, "randlora_sparsity": "none", "shira_rank": 32, "shira_random_seed": nil,
        "c3a_block_size": 256, "c3a_init_weights": "xavier_uniform", "fourier_n_frequency": 2000,
        "fourier_scaling": 300, "random_loc_seed": 777, "vblora_rank": 4, "num_vectors": 256, "vector_length": 256,
        "topk": 2, "save_only_topk_weights": false, "vblora_dropout": 0, "init_vector_bank_bound": 0.02,
        "init_logits_std": 0.1, "waveft_n_frequency": 2592, "waveft_scaling": 25, "wavelet_family": "db1",
        "use_idwt": true, "proportional_parameters": false, "num_ranks": 1,
        "loha_r": 8, "loha_alpha": 8, "loha_rank_dropout": 0, "loha_module_dropout": 0,
        "lokr_r": 8, "lokr_alpha": 8, "lokr_rank_dropout": 0, "lokr_module_dropout": 0, "lokr_decompose_both": false,
        "lokr_decompose_factor": -1, "lokr_rank_dropout_scale": false, "lokr_init_weights": true,
        "oft_block_size": 32, "oft_r": 0, "oft_module_dropout": 0, "oft_coft": false, "oft_eps": 6e-5,
        "oft_block_share": false, "oft_use_cayley_neumann": true, "oft_num_cayley_neumann_terms": 5,
        "boft_block_size": 4, "boft_block_num": 0, "boft_n_butterfly_factor": 1, "boft_dropout": 0,
        "hra_r": 8, "hra_apply_GS": false,
        "miss_r": 64, "miss_dropout": 0, "miss_mini_r": 1, "miss_init_weights": true,
        "road_variant": "road_1", "road_group_size": 64,
        "hira_r": 32, "hira_dropout": 0, "hira_init_weights": true, "delora_r": 8, "delora_lambda": 15,
        "delora_module_dropout": 0,
        "lorap_lr_ratio": nil, "lora_bias": "none", "lora_b_bias": false, "lora_rank_pattern": nil,
        "lora_alpha_pattern": nil, "exclude_modules": nil, "layers_to_transform": nil, "layers_pattern": nil,
        "modules_to_save": [],
        "freeze_parameters": [], "freeze_parameters_regex": nil, "freeze_parameters_ratio": 0,
        "trainable_parameters": [],
        "trainable_parameters_regex": nil, "lisa_activated_layers": 0, "lisa_step_interval": 20, "paged_memory": nil,
        "use_galore": false, "galore_target_modules": nil, "galore_rank": 128, "galore_update_proj_gap": 50,
        "galore_scale": 1, "galore_proj_type": "std", "galore_with_embedding": false, "galore_quantization": false,
        "galore_proj_quant": false, "galore_proj_bits": 4, "galore_proj_group_size": 256, "galore_cos_threshold": 0.4,
        "galore_gamma_proj": 2, "galore_queue_size": 5,
        "layer_replication": nil, "target_parameters": nil, "ensure_weight_tying": false, "loftq_bits": 4,
        "loftq_iter": 1, "eva_rho": 2,
        "eva_tau": 0.99, "eva_use_label_mask": true, "eva_whiten": false, "eva_adjust_scaling_factors": true,
        "corda_method": "ipm", "corda_samples": 256, "lora_ga_direction": "ArB2r", "lora_ga_scale": "stable",
        "lora_ga_stable_gamma": 16, "lora_ga_batch_size": 2, "lora_ga_iters": 2, "group_size_ratio": 0.25,
        "embedder_and_normalizer": true, "llamapro_num_new_blocks": 4, "llamapro_num_groups": nil, "reft_rank": 4,
        "reft_layers": nil, "reft_intervention_type": "LoreftIntervention", "reft_args": nil,
        "xlora_adapters": nil, "xlora_depth": 1, "xlora_size": 2048, "xlora_dropout_p": 0.2,
        "layerwise_scalings": false, "enable_softmax": true, "enable_softmax_topk": false, "softmax_temperature": 1,
        "top_k_lora": nil, "global_scaling_weight": 1,
        "quant_method": nil, "quant_bits": nil,
        "bnb_4bit_compute_dtype": nil, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true,
        // ms-swift looks for rows that it prepared before only on demand; here they are the same to the bit.
        "load_from_cache_file": true,
        "bnb_4bit_quant_storage": nil, "optim_target_modules": nil, "run_name": nil,
        "swanlab_project": nil, "swanlab_workspace": nil, "swanlab_exp_name": nil, "swift_version": "4.6.0",
        "apus_version": "0.1.0",
    ]

    /// A key of `args.json` keeps its place, because readers compare the files of runs line by line.
    ///
    /// A new one comes last in its part.
    @Test func keysKeepTheirOrder() throws {
        let own = ["lora_rank", "lora_alpha", "lora_dropout", "use_rslora", "init_weights"]
        let methods = AdapterMethods.options.map(\.name).filter { !own.contains($0) }
        let keys = """
            model model_type torch_dtype num_labels task_type problem_type multi_label_format print_model tuner_type \
            adapters load_args load_data_args seed new_special_tokens quant_method quant_bits bnb_4bit_compute_dtype bnb_4bit_quant_type \
            bnb_4bit_use_double_quant bnb_4bit_quant_storage
            dataset val_dataset split_dataset_ratio columns strict data_seed dataset_shuffle val_dataset_shuffle \
            train_dataloader_shuffle dataset_num_proc dataloader_num_workers dataloader_drop_last model_name \
            model_author custom_dataset_info prompt_format disable_auto_column_mapping interleave_prob stopping_strategy \
            max_dropped_ratio load_from_cache_file
            system max_length truncation_strategy use_chat_template pair_format mlm_probability loss_scale max_target_length \
            template template_backend agent_template enable_thinking preserve_thinking add_non_thinking_prefix \
            is_binary_loss_scale disable_ignore_empty_think
            lora_rank lora_alpha lora_dropout target_modules modules_to_save target_regex use_rslora init_weights lora_dtype \
            \(methods.joined(separator: " "))
            freeze_parameters freeze_parameters_regex freeze_parameters_ratio trainable_parameters \
            trainable_parameters_regex lisa_activated_layers lisa_step_interval
            packing packing_length packing_strategy group_by_length streaming shuffle_buffer_size
            num_train_epochs max_epochs max_steps per_device_train_batch_size gradient_accumulation_steps loss_type \
            infonce_temperature learning_rate lr_scheduler_type warmup_ratio warmup_steps optim paged_memory \
            weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm gradient_checkpointing max_memory bf16 \
            fp16 nan_policy \
            router_aux_loss_coef lr_scheduler_kwargs optimizer optim_args optim_target_modules \
            label_smoothing_factor neftune_noise_alpha enable_dft_loss enable_channel_loss acc_strategy
            use_galore galore_target_modules galore_rank galore_update_proj_gap galore_scale galore_proj_type \
            galore_with_embedding galore_quantization galore_proj_quant galore_proj_bits galore_proj_group_size \
            galore_cos_threshold galore_gamma_proj galore_queue_size
            resume_from_checkpoint resume_only_model per_device_eval_batch_size eval_strategy eval_steps save_strategy \
            save_steps save_total_limit save_only_model metric_for_best_model greater_is_better predict_with_generate \
            generation_max_length max_new_tokens eval_epochs save_epochs eval_on_start eval_delay early_stop_interval \
            callbacks load_best_model_at_end
            output_dir add_version overwrite_output_dir create_checkpoint_symlink logging_steps logging_first_step \
            logging_dir report_to disable_tqdm logging_strategy run_name swanlab_project swanlab_workspace \
            swanlab_exp_name
            device use_cpu
            use_hf model_revision push_to_hub hub_model_id hub_private_repo
            swift_version apus_version
            """
        #expect(try sft("").argsJSON().keys == keys.split(whereSeparator: \.isWhitespace).map(String.init))
    }

    /// A part has each of its options in some command.
    @Test func partsHaveNoIdleFields() {
        func check<Part: SettingsPart>(_: Part.Type) {
            let tables = [Command.sft, .infer, .export].map { OptionTable.table(for: $0) }
            for name in Part.fields.map(\.name) {
                #expect(tables.contains { $0[name]?.status == .supported }, "\(name)")
            }
        }
        check(ModelSettings.self)
        check(QuantizationOptions.self)
        check(DataSettings.self)
        check(EncodingSettings.self)
        check(TunerSettings.self)
        check(FullTuningSettings.self)
        check(GaLoreSettings.self)
        check(CombinationSettings.self)
        check(OptimizationSettings.self)
        check(EvaluationSettings.self)
        check(OutputSettings.self)
        check(DeviceSettings.self)
        check(HubSettings.self)
        check(GenerationSettings.self)
    }

    @Test func defaultsAreThoseOfMSSwift() throws {
        let json = try sft("").argsJSON()
        #expect(json == Self.defaults)
        #expect(SFTSettings(model: "m", dataset: ["d.jsonl"]).argsJSON() == Self.defaults)
    }

    @Test func computedDefaults() throws {
        #expect(try sft("--tuner_type full").learningRate == 1e-5)
        #expect(try sft("--learning_rate 2e-5").learningRate == 2e-5)
        #expect(try sft("--per_device_train_batch_size 3").optimization.gradientAccumulationSteps == 6)
        #expect(try sft("--per_device_train_batch_size 64").optimization.gradientAccumulationSteps == 1)
        #expect(try sft("--per_device_train_batch_size 2147483647").optimization.gradientAccumulationSteps == 1)
        #expect(try sft("--val_dataset v").evalStrategy == .steps)
        #expect(try sft("--val_dataset v --save_strategy epoch").evalStrategy == .epoch)
        #expect(try sft("--val_dataset v --save_steps 50").evalSteps == 50)
        #expect(try sft("--val_dataset v --save_strategy epoch").evalSteps == nil)
        #expect(try sft("--eval_strategy steps").evalStrategy == .no)
        #expect(try sft("--split_dataset_ratio 0.1").evalStrategy == .steps)
        #expect(try sft("--split_dataset_ratio 0.1 --eval_strategy no").data.splitDatasetRatio == 0)
        #expect(try sft("--split_dataset_ratio 0.1 --val_dataset v").data.splitDatasetRatio == 0)
        #expect(try sft("--save_total_limit 0").evaluation.saveTotalLimit == nil)
        #expect(try sft("--max_epochs 2").optimization.numTrainEpochs == 3)
        #expect(try sft("--predict_with_generate true --val_dataset v").evaluation.metricForBestModel == "rouge-l")
        #expect(try sft("--predict_with_generate true --val_dataset v").evaluation.greaterIsBetter)
        let scale = "--predict_with_generate true --val_dataset v --loss_scale default+ignore_empty_think"
        #expect(try sft(scale).encoding.tellsAnswers)
        #expect(try sft("--use_cpu").hardware.device == .cpu)
        #expect(try sft("--task_type embedding").lossType == .cosineSimilarity)
        #expect(try sft("--task_type reranker").lossType == .pointwiseReranker)
        #expect(try sft("--task_type embedding --loss_type infonce").optimization.infonceTemperature == 0.1)
        #expect(try sft("--loss_type cross_entropy").lossType == .crossEntropy)
        #expect(try sft("--task_type embedding --metric_for_best_model eval_spearman").evaluation.greaterIsBetter)
        #expect(try sft("--task_type reranker --metric_for_best_model mrr").evaluation.greaterIsBetter)
        #expect(try infer("--model m").stream)
        #expect(try !infer("--model m --val_dataset v").stream)
        #expect(try infer("--model m --val_dataset v --stream true").stream)
    }
}
