import ApusAdapters
import ApusJSON
import ApusTorch
import ApusWeights
import Testing

@testable import ApusRecipes

struct SettingsTests {
    private func sft(_ words: String) throws -> SFTSettings {
        var notices: [String] = []
        let words = "--model m --dataset d.jsonl \(words)".split(separator: " ").map(String.init)
        return try SFTSettings(try ArgumentLine(words, for: .sft), notices: &notices)
    }

    private func infer(_ words: String) throws -> InferSettings {
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
        "is_binary_loss_scale": nil, "router_aux_loss_coef": nil,
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
        "layer_replication": nil, "target_parameters": nil, "loftq_bits": 4, "loftq_iter": 1, "eva_rho": 2,
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
            is_binary_loss_scale
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
        #expect(try sft("--max_epochs 2").optimization.epochs == 2)
        #expect(try sft("--predict_with_generate true --val_dataset v").evaluation.metricForBestModel == "rouge-l")
        #expect(try sft("--predict_with_generate true --val_dataset v").evaluation.greaterIsBetter)
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

    @Test(arguments: [
        "--warmup_ratio 0.1 --warmup_steps 10", "--save_steps 1.5", "--val_dataset v --eval_steps 2.5",
        "--bf16 true --fp16 true", "--bf16 true --torch_dtype float32", "--fp16 true --torch_dtype bfloat16",
        "--use_cpu true --device cuda", "--report_to none tensorboard",
        "--loss_type infonce", "--task_type embedding --loss_type pointwise_reranker",
        "--task_type reranker --loss_type cosine_similarity", "--task_type embedding --loss_type cross_entropy",
        "--task_type embedding --metric_for_best_model mrr", "--task_type reranker --metric_for_best_model spearman",
        "--task_type embedding --loss_type infonce --metric_for_best_model spearman",
        "--task_type embedding --metric_for_best_model acc", "--optim lomo --gradient_accumulation_steps 1",
        "--tuner_type full --optim lomo",
        "--tuner_type full --optim adalomo --gradient_accumulation_steps 1 --gradient_checkpointing false",
        "--tuner_type full --optim adalomo --gradient_accumulation_steps 1 --torch_dtype float16",
        "--tuner_type full --optim lomo --use_galore true",
        "--enable_dft_loss true --label_smoothing_factor 0.1", "--early_stop_interval 3", "--callbacks early_stop",
        "--load_best_model_at_end true", "--predict_with_generate true --loss_scale all",
        "--predict_with_generate true --loss_scale hermes", "--val_dataset v --metric_for_best_model seq_acc",
        "--val_dataset v --metric_for_best_model loss_math", "--val_dataset v --metric_for_best_model rouge-1",
        "--lr_scheduler_kwargs [1]", #"--lr_scheduler_kwargs {"num_cycle":0.5}"#,
        #"--lr_scheduler_kwargs {"min_lr":0}"#,
        #"--lr_scheduler_type linear --lr_scheduler_kwargs {"last_epoch":1}"#,
        #"--lr_scheduler_type polynomial --lr_scheduler_kwargs {"lr_end":1}"#, "--lr_scheduler_type cosine_with_min_lr",
        #"--lr_scheduler_type cosine_with_min_lr --lr_scheduler_kwargs {"min_lr":1e-6,"min_lr_rate":0.1}"#,
        "--lr_scheduler_type warmup_stable_decay",
        #"--lr_scheduler_type warmup_stable_decay --lr_scheduler_kwargs {"num_decay_steps":1.5}"#,
        #"--lr_scheduler_type warmup_stable_decay --lr_scheduler_kwargs {"num_decay_steps":5,"decay_type":"sqrt"}"#,
        "--lr_scheduler_type reduce_lr_on_plateau",
        "--lr_scheduler_type reduce_lr_on_plateau --val_dataset v --metric_for_best_model token_acc",
        #"--lr_scheduler_type reduce_lr_on_plateau --val_dataset v --lr_scheduler_kwargs {"factor":1}"#,
        "--optim_args momentum=0.9", "--optim sgd --optim_args momentum", "--optim sgd --optim_args nesterov=true",
        "--optim sgd --optim_args momentum=x", "--optim rmsprop --optim_args weight_decay=0.1",
        "--optimizer muon --optim_args ns_steps=0", "--optimizer lorap",
        "--tuner_type full --optimizer muon --use_galore true", "--optimizer galore",
        "--optim schedule_free_adamw --adam_beta1 0", "--optim apollo_adamw --optim_args proj=svd",
        "--optim apollo_adamw --optim_args proj_type=left",
        "--optim grokadamw --optim_args grokking_signal_decay_rate=-1",
    ])
    func contradictions(words: String) {
        #expect(throws: SettingsError.self) { try sft(words) }
    }

    @Test func whatMustBeGiven() {
        var notices: [String] = []
        #expect(throws: UsageError.self) {
            try SFTSettings(try ArgumentLine(["--dataset", "d"], for: .sft), notices: &notices)
        }
        #expect(throws: UsageError.self) {
            try SFTSettings(try ArgumentLine(["--model", "m"], for: .sft), notices: &notices)
        }
        #expect(throws: UsageError.self) { try infer("--top_k 3") }
        #expect(throws: UsageError.self) { try SFTSettings(model: "m", dataset: []).validated() }
        #expect(throws: UsageError.self) { try ExportSettings(adapters: [], mergeLoRA: true).argumentsChecked() }
        #expect(throws: UsageError.self) { try ExportSettings(adapters: ["a"], mergeLoRA: false).argumentsChecked() }
    }

    @Test func settingsMadeInSwiftAreChecked() throws {
        var settings = SFTSettings(model: "m", dataset: ["d"])
        #expect(try settings.validated().tuner.loraRank == 8)
        settings.optimization.learningRate = .nan
        #expect(throws: SettingsError.self) { try settings.validated() }
        settings.optimization.learningRate = 1e-4
        settings.optimization.perDeviceTrainBatchSize = 0
        #expect(throws: SettingsError.self) { try settings.validated() }
    }

    /// A flag that this run has no use for says so.
    @Test(arguments: [
        ("--tuner_type full --lora_rank 4", "--lora_rank: without effect, because --tuner_type full has no adapter."),
        ("--problem_type regression", "--problem_type: without effect, because --task_type is causal_lm."),
        ("--task_type embedding --num_labels 2", "--num_labels: without effect, because --task_type is embedding."),
        ("--num_labels 2 --loss_scale all", "--loss_scale: without effect, because --task_type is seq_cls."),
        ("--mlm_probability 0.3", "--mlm_probability: without effect, because --task_type is causal_lm."),
        ("--task_type mlm --pair_format {text1}{text2}", "--pair_format: without effect, because --task_type is mlm."),
        (
            "--tuner_type full --optim lomo --gradient_accumulation_steps 1 --max_grad_norm 0.5",
            "--max_grad_norm 0.5: --optim lomo needs a backward pass of its own to know the norm; 0 clips nothing and takes "
                + "half of the time."
        ),
        (
            "--tuner_type full --use_galore true --galore_proj_bits 8",
            "--galore_proj_bits: without effect, because --galore_quantization is false."
        ),
        (
            "--task_type embedding --infonce_temperature 1",
            "--infonce_temperature: without effect, because --loss_type is not infonce."
        ),
        (
            "--loftq_bits 8 --loftq_iter 2",
            "--loftq_bits, --loftq_iter: without effect, because --init_weights is not loftq."
        ),
        ("--init_weights loftq --eva_rho 3", "--eva_rho: without effect, because --init_weights is not eva."),
        ("--corda_samples 4", "--corda_samples: without effect, because --init_weights is not corda."),
        (
            "--init_weights pissa --lora_ga_iters 3 --lora_ga_stable_gamma 8",
            "--lora_ga_stable_gamma, --lora_ga_iters: without effect, because --init_weights is not lora-ga."
        ),
        (
            "--init_weights lora-ga --lora_ga_scale unit --lora_ga_stable_gamma 8",
            "--lora_ga_stable_gamma: without effect, because --lora_ga_scale is not stable."
        ),
        ("--save_epochs 5", "--save_epochs: without effect, because --save_strategy is not epoch."),
        ("--max_new_tokens 9", "--max_new_tokens: without effect, because --predict_with_generate is false."),
        (
            "--num_labels 2 --enable_dft_loss true",
            "--enable_dft_loss: without effect, because --task_type is seq_cls."
        ),
        ("--optimizer muon --optim sgd", "--optim: without effect, because --optimizer is muon."),
        (
            "--lr_scheduler_type constant --warmup_steps 3",
            "--warmup_steps: without effect, because --lr_scheduler_type is constant."
        ),
        ("--tuner_type oft --oft_eps 0.1", "--oft_eps: without effect, because --oft_coft is not true."),
    ])
    func idleFlagsAreNoted(words: String, notice: String) throws {
        var notices: [String] = []
        let line = ["--model", "m", "--dataset", "d"] + words.split(separator: " ").map(String.init)
        _ = try SFTSettings(try ArgumentLine(line, for: .sft), notices: &notices)
        #expect(notices == [notice])
    }

    /// An evaluation that was asked for and cannot be is said; the default that cannot be is not.
    @Test(
        arguments: [
            ("", 0), ("--eval_strategy no", 0), ("--eval_strategy steps", 1), ("--eval_steps 50", 1),
            ("--eval_strategy epoch --eval_steps 50 --metric_for_best_model token_acc", 1),
            ("--eval_strategy steps --val_dataset v.jsonl", 0), ("--eval_strategy steps --split_dataset_ratio 0.1", 0),
        ] as [(String, Int)])
    func evaluationWithoutData(words: String, count: Int) throws {
        var notices: [String] = []
        let words = "--model m --dataset d.jsonl \(words)".split(separator: " ").map(String.init)
        _ = try SFTSettings(try ArgumentLine(words, for: .sft), notices: &notices)
        #expect(notices.filter { $0.contains("nothing is evaluated") }.count == count, "\(notices)")
    }

    @Test func flagsWithAUseAreNotNoted() throws {
        for words in [
            "--num_labels 1 --problem_type regression --pair_format {text1}{text2}",
            "--task_type mlm --mlm_probability 0.3",
            "--task_type embedding --loss_type infonce --infonce_temperature 1",
            "--task_type reranker --pair_format {text1}{text2}", "--loss_scale all --lora_rank 4",
            "--init_weights loftq --loftq_bits 8", "--init_weights eva --eva_rho 3",
            "--init_weights lora-ga --lora_ga_stable_gamma 8", "--init_weights corda --corda_method kpm",
            "--tuner_type oft --oft_coft true --oft_eps 0.1 --oft_num_cayley_neumann_terms 3",
            #"--lr_scheduler_type warmup_stable_decay --warmup_ratio 0.1 --lr_scheduler_kwargs {"num_decay_steps":5}"#,
            "--val_dataset v --predict_with_generate true --metric_for_best_model f1 --max_new_tokens 9",
            "--val_dataset v --acc_strategy seq --metric_for_best_model seq_acc --label_smoothing_factor 0.1",
            "--val_dataset v --enable_channel_loss true --metric_for_best_model loss_math",
            "--val_dataset v --save_strategy epoch --save_epochs 5 --eval_epochs 5 --early_stop_interval 2",
            "--num_labels 2 --label_smoothing_factor 0.1",
            "--optim sgd --optim_args momentum=0.9,nesterov=true", "--optimizer muon --optim_args ns_steps=6",
            "--optimizer lorap --lorap_lr_ratio 16", "--optimizer default --optim adafactor",
            "--optim apollo_adamw --optim_args rank=8,proj=random,scale_type=channel,update_proj_gap=9,proj_type=std",
            "--tuner_type oft --oft_block_size 0 --oft_r 4", "--tuner_type waveft --wavelet_family db2",
        ] {
            var notices: [String] = []
            let line = ["--model", "m", "--dataset", "d"] + words.split(separator: " ").map(String.init)
            _ = try SFTSettings(try ArgumentLine(line, for: .sft), notices: &notices)
            #expect(notices.isEmpty, "\(words)")
        }
    }

    @Test func modelNames() {
        #expect(ModelName.short("Qwen/Qwen2.5-0.5B") == "Qwen2.5-0.5B")
        #expect(ModelName.short("/models/Qwen2.5-0.5B/") == "Qwen2.5-0.5B")
        #expect(ModelName.short("/c/models--Qwen--Qwen2.5-0.5B/snapshots/abc") == "Qwen2.5-0.5B")
        #expect(ModelName.short("/c/models/Qwen--Qwen2.5-0.5B/snapshots/abc") == "Qwen2.5-0.5B")
        #expect(ModelName.short("/c/Qwen2___5-0___5B") == "Qwen2.5-0.5B")
        #expect(ModelName.short("") == "model")
    }

    @Test(arguments: [
        ("5GB", 5_000_000_000), ("500MB", 500_000_000), ("2GiB", 2_147_483_648), ("1.5gb", 1_500_000_000),
    ])
    func shardSizes(text: String, bytes: Int) {
        var settings = ExportSettings(adapters: ["a"])
        settings.maxShardSize = text
        #expect(settings.maxShardBytes == bytes)
    }

    @Test(arguments: ["", "5", "GB", "0GB", "-1GB", "1e999GB", "99999999999999999TB", "5 GB", "nanGB"])
    func wrongShardSizes(text: String) {
        var settings = ExportSettings(adapters: ["a"])
        settings.maxShardSize = text
        #expect(settings.maxShardBytes == nil)
    }

    @Test func exportFolders() throws {
        var notices: [String] = []
        let line = try ArgumentLine(["--adapters", "run/checkpoint-100/"], for: .mergeLoRA)
        let settings = try ExportSettings(line, notices: &notices, mergeLoRA: true)
        #expect(settings.outputDirectory == "run/checkpoint-100-merged")
        #expect(settings.mergeLoRA)
        func folder(_ words: String) throws -> String {
            try ExportSettings(
                ArgumentLine(words.split(separator: " ").map(String.init), for: .export), notices: &notices
            ).outputDirectory
        }
        #expect(try folder("--adapters run/a/ --merge_lora true --to_gguf true") == "run/a-gguf")
        #expect(try folder("--model Qwen/Qwen3-0.6B --to_gguf true --gguf_type Q4_K_M") == "Qwen3-0.6B-gguf")
        #expect(try folder("--model models/tiny.GGUF --torch_dtype bfloat16") == "tiny-bfloat16")
        #expect(try folder("--model m --max_shard_size 1GB") == "m-converted")
        #expect(try folder("--model m --output_dir o") == "o")
        #expect(notices == [])
    }

    @Test func namesOfGGUFFiles() {
        var settings = ExportSettings(adapters: ["run/checkpoint-100/"])
        #expect(settings.ggufName == "checkpoint-100-F16.gguf")
        settings = ExportSettings(adapters: [], mergeLoRA: false)
        settings.model.name = "/a/b.gguf"
        settings.ggufType = .q5_K_M
        #expect(settings.ggufName == "b-Q5_K_M.gguf")
    }

    @Test(
        arguments: [
            ("--model m", "--merge_lora: not given"), ("--adapters a --to_gguf true", "Add --merge_lora true"),
            ("--adapters a --torch_dtype bfloat16", "Add --merge_lora true"),
            ("--adapters a b --combination_type svd --to_gguf true", "leave out --merge_lora, --to_gguf"),
            ("--model m --to_gguf true --quant_method bnb --quant_bits 4", "--gguf_type"),
            ("--to_gguf true", "--merge_lora: not given"),
        ] as [(String, String)])
    func exportsThatContradictThemselves(words: String, reason: String) throws {
        var notices: [String] = []
        let error = #expect(throws: UsageError.self) {
            try ExportSettings(
                ArgumentLine(words.split(separator: " ").map(String.init), for: .export), notices: &notices)
        }
        #expect("\(String(describing: error))".contains(reason))
    }

    @Test func optionsOfOtherFilesAreSaid() throws {
        for (words, option) in [
            ("--to_gguf true --max_shard_size 1GB", "--max_shard_size"),
            ("--torch_dtype bfloat16 --gguf_type Q8_0", "--gguf_type"),
        ] {
            var notices: [String] = []
            _ = try ExportSettings(
                ArgumentLine(("--model m " + words).split(separator: " ").map(String.init), for: .export),
                notices: &notices)
            #expect(notices.count == 1 && notices[0].hasPrefix("\(option): without effect"), "\(notices)")
        }
    }
}

extension ExportSettings {
    fileprivate func argumentsChecked() throws {
        var (settings, notices) = (self, [String]())
        try settings.settle(notices: &notices)
    }
}

// MARK: Round trips

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
                "RefinedWeb RefinedWebModel albert baichuan bert bloom chatglm deberta-v2 deepseek_v2 "
                    + "deepseek_v3 distilbert electra falcon gemma gemma2 gemma3_text glm glm4 gpt2 gpt_neo "
                    + "gpt_neox gptj granite internlm2 llama minicpm minicpm3 mistral mixtral modernbert mpt mt5 olmo2 "
                    + "opt phi3 qwen2 qwen2_moe qwen3 qwen3_5_moe_text qwen3_5_text qwen3_moe qwen3_next roberta smollm3 stablelm starcoder2 t5 "
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
