import ApusOptimizers
import ApusTraining

extension OptionTable {
    static let trainingOptions: [CommandOption] = [
        CommandOption(
            "num_train_epochs", .number(.above(0, upTo: 1e6)), default: .number(3), "Passes over the data.",
            in: .training,
            for: [.sft]),
        CommandOption(
            "max_epochs", .integer(from: 1),
            "Ends the run with this pass over the data; its schedule stays that of the other two, also of a stream.",
            in: .training, for: [.sft]),
        CommandOption(
            "max_steps", .integer(from: -1), default: .integer(-1), "Optimizer steps; wins over epochs. -1: epochs.",
            in: .training, for: [.sft]),
        CommandOption(
            "per_device_train_batch_size", .integer(from: 1), default: .integer(1), "Samples of one micro-batch.",
            in: .training, for: [.sft]),
        CommandOption(
            "gradient_accumulation_steps", .integer(from: 1), computed: "16 / batch size, rounded up",
            "Micro-batches of one optimizer step.", in: .training, for: [.sft]),
        CommandOption(
            "loss_type",
            .words(
                of: LossType.self, later: ["online_contrastive", "scoring", "distill_rps", "smooth_brier", "ce_rps"]),
            computed: "embedding: cosine_similarity; reranker: pointwise_reranker",
            "What is minimised, in tasks that leave a choice.", in: .training, for: [.sft]),
        CommandOption(
            "infonce_temperature", .number(.above(0)), default: .number(0.1),
            "What infonce divides cosines by (ms-swift's INFONCE_TEMPERATURE).", in: .training,
            for: [.sft]),
        CommandOption(
            "learning_rate", .number(.above(0)), computed: "1e-4; 1e-5 for --tuner_type full",
            "Highest learning rate.", in: .optimizer, for: [.sft]),
        CommandOption(
            "lr_scheduler_type",
            .words(
                of: ScheduleKind.self, later: ["greedy"]),
            default: .text("cosine"), "Course of the learning rate.", in: .optimizer, for: [.sft]),
        CommandOption(
            "lr_scheduler_kwargs", .json, "What else the course has, as '{\"min_lr\": 1e-6}'.", in: .optimizer,
            for: [.sft]),
        CommandOption(
            "warmup_ratio", .number(.from(0, below: 1)), default: .number(0), "Share of the steps that warm up.",
            in: .optimizer, for: [.sft]),
        CommandOption(
            "warmup_steps", .number(.from(0, upTo: Double(OptionKind.largestCount))), default: .number(0),
            "Steps that warm up; below 1 a share of all.",
            in: .optimizer, for: [.sft]),
        CommandOption(
            "optim",
            .words(
                of: OptimizerName.self,
                later: [
                    "ademamix_8bit", "paged_ademamix_8bit", "rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit",
                    "galore_adamw", "galore_adamw_8bit", "galore_adafactor", "schedule_free_radam",
                    "adamw_torch_4bit", "adamw_torch_8bit", "adamw_anyprecision", "adamw_torch_xla",
                ]),
            default: .text("adamw_torch_fused"),
            "Optimizer; 8bit: moments of 8 bits, paged: moments in a mapped file, lomo: no gradients kept.",
            in: .optimizer, for: [.sft]),
        CommandOption(
            "optimizer", .words(of: OptimizerPlugin.self, later: ["muonclip", "multimodal"]),
            computed: "default: what --optim says", "ms-swift's own optimizers; muon wins over --optim.",
            in: .optimizer, for: [.sft]),
        CommandOption(
            "optim_args", .text, "What else the optimizer has, as momentum=0.9,nesterov=true.", in: .optimizer,
            for: [.sft]),
        CommandOption(
            "optim_target_modules", .list, computed: "all-linear",
            "Layers whose gradients --optim apollo_adamw projects: parts of names, regular expressions.",
            in: .optimizer, for: [.sft]),
        CommandOption(
            "paged_memory", .text, computed: "what the system spares",
            "How much of paged moments stays in memory: 500MB, 2GiB.", in: .optimizer, for: [.sft]),
        CommandOption(
            "weight_decay", .number(.from(0)), default: .number(0.1), "Decay of all weights but biases and norms.",
            in: .optimizer, for: [.sft]),
        CommandOption(
            "adam_beta1", .number(.from(0, below: 1)), default: .number(0.9), "Decay of the first moment.",
            in: .optimizer, for: [.sft]),
        CommandOption(
            "adam_beta2", .number(.from(0, below: 1)), default: .number(0.95), "Decay of the second moment.",
            in: .optimizer, for: [.sft]),
        CommandOption(
            "adam_epsilon", .number(.above(0)), default: .number(1e-8), "Keeps the division finite.", in: .optimizer,
            for: [.sft]),
        CommandOption(
            "max_grad_norm", .number(.from(0)), default: .number(1), "Gradients are clipped to it; 0: not at all.",
            in: .optimizer, for: [.sft]),
        CommandOption(
            "label_smoothing_factor", .number(.from(0, below: 1)), default: .number(0),
            "Share of a label that is spread over all labels.", in: .training, for: [.sft]),
        CommandOption(
            "neftune_noise_alpha", .number(.from(0)), computed: "no noise",
            "Strength of noise on the vectors of words in training (NEFTune).", in: .training, for: [.sft]),
        CommandOption(
            "enable_dft_loss", .boolean, default: .boolean(false),
            "Multiply each token's loss by its probability.", in: .training, for: [.sft]),
        CommandOption(
            "enable_channel_loss", .boolean, default: .boolean(false),
            "Log the loss of each value of the column channel.", in: .training, for: [.sft]),
        CommandOption(
            "acc_strategy", .words(of: AccuracyStrategy.self), default: .text("token"),
            "Accuracy of tokens, or of whole answers.", in: .training, for: [.sft]),
        CommandOption(
            "router_aux_loss_coef", .number(.from(0)), computed: "what config.json says; none, as a rule",
            "Weight of the loss that spreads tokens over experts.", in: .training, for: [.sft]),
        CommandOption(
            "gradient_checkpointing", .boolean, computed: "only when memory would run out",
            "Compute activations again instead of keeping them.", in: .training, for: [.sft]),
        CommandOption(
            "max_memory", .text, computed: "what is free",
            "Fit the run into 6GB or {\"cpu\": \"6GiB\"}: halve micro-batches, then compute activations again.",
            in: .training, for: [.sft]),
        CommandOption(
            "bf16", .boolean, computed: "as --torch_dtype", "Compute in bfloat16.", in: .training, for: [.sft]),
        CommandOption(
            "fp16", .boolean, computed: "as --torch_dtype", "Compute in float16.", in: .training, for: [.sft]),
        CommandOption(
            "nan_policy", .words(of: NaNPolicy.self), default: .text("stop"),
            "At a gradient that is not a number: stop, or skip the step.", in: .training, for: [.sft]),
        CommandOption(
            "resume_from_checkpoint", .text,
            "What to go on from: a checkpoint, the folder of a run, or last (in --output_dir).", in: .training,
            for: [.sft]),
        CommandOption(
            "resume_only_model", .boolean, default: .boolean(false),
            "Take only the weights of that checkpoint and begin anew.", in: .training, for: [.sft]),
    ]

    static let evaluationOptions: [CommandOption] = [
        CommandOption(
            "per_device_eval_batch_size", .integer(from: 1), default: .integer(1), "Samples of one micro-batch.",
            in: .evaluation, for: [.sft]),
        CommandOption(
            "eval_strategy", .words(of: IntervalStrategy.self),
            computed: "as --save_strategy; no without validation data", "When to evaluate.", in: .evaluation,
            for: [.sft]),
        CommandOption(
            "eval_steps", .number(.interval), computed: "as --save_steps",
            "Steps between evaluations; below 1 a share of all.", in: .evaluation, for: [.sft]),
        CommandOption(
            "save_strategy", .words(of: IntervalStrategy.self, later: ["best"]), default: .text("steps"),
            "When to save.", in: .evaluation, for: [.sft]),
        CommandOption(
            "save_steps", .number(.interval), default: .number(500),
            "Steps between checkpoints; below 1 a share of all.", in: .evaluation, for: [.sft]),
        CommandOption(
            "save_total_limit", .integer(from: -1), computed: "all", "Checkpoints to keep, besides the best.",
            in: .evaluation, for: [.sft]),
        CommandOption(
            "save_only_model", .boolean, default: .boolean(false), "Leave out what resuming needs.", in: .evaluation,
            for: [.sft]),
        CommandOption(
            "metric_for_best_model", .text, computed: "loss; rouge-l with --predict_with_generate",
            "What makes a checkpoint the best: loss, or a metric of the evaluation such as spearman.",
            in: .evaluation, for: [.sft]),
        CommandOption(
            "greater_is_better", .boolean, computed: "by the metric", "Whether more of the metric is better.",
            in: .evaluation, for: [.sft]),
        CommandOption(
            "predict_with_generate", .boolean, default: .boolean(false),
            "Answer the validation data too, and measure exact_match, f1, rouge and bleu of that.",
            in: .evaluation, for: [.sft]),
        CommandOption(
            "max_new_tokens", .integer(from: 1), default: .integer(64),
            "Most tokens of such an answer, of models that continue text.", in: .evaluation, for: [.sft]),
        CommandOption(
            "generation_max_length", .integer(from: 2), computed: "--max_target_length + 1, else 513",
            "Most tokens of such an answer of --task_type seq2seq_lm, with the one that it begins with.",
            in: .evaluation, for: [.sft]),
        CommandOption(
            "eval_epochs", .integer(from: 1), computed: "as --save_epochs",
            "With --eval_strategy epoch: epochs between evaluations.",
            in: .evaluation, for: [.sft]),
        CommandOption(
            "save_epochs", .integer(from: 1), default: .integer(1),
            "With --save_strategy epoch: epochs between checkpoints.",
            in: .evaluation, for: [.sft]),
        CommandOption(
            "eval_on_start", .boolean, default: .boolean(false), "Evaluate before the first step too.", in: .evaluation,
            for: [.sft]),
        CommandOption(
            "eval_delay", .number(.from(0)), default: .number(0),
            "Steps, with --eval_strategy epoch epochs, before the first evaluation; the last step has one anyway.",
            in: .evaluation, for: [.sft]),
        CommandOption(
            "early_stop_interval", .integer(from: 1), computed: "never",
            "End the run after so many checkpoints in a row without a better evaluation.", in: .evaluation, for: [.sft]),
        CommandOption(
            "callbacks",
            .choices(
                RunCallback.allCases.map(\.rawValue),
                later: ["activation_cpu_offload", "deepspeed_elastic", "perf_log"]),
            default: .list([]), "early_stop needs --early_stop_interval; the others happen anyway.", in: .evaluation,
            for: [.sft]),
        CommandOption(
            "load_best_model_at_end", .boolean, default: .boolean(false),
            "Publish and return the best checkpoint, and not the last.", in: .evaluation, for: [.sft]),
    ]

    static let outputOptions: [CommandOption] = [
        CommandOption(
            "output_dir", .text, computed: "output/<model>", "Folder of the run.", in: .output, for: [.sft]),
        CommandOption(
            "add_version", .boolean, default: .boolean(true), "Put the run in a new folder v<N>-<time> in it.",
            in: .output, for: [.sft]),
        CommandOption(
            "overwrite_output_dir", .boolean, default: .boolean(false),
            "With --add_version false: remove what an earlier run left there.", in: .output, for: [.sft]),
        CommandOption(
            "create_checkpoint_symlink", .boolean, default: .boolean(false),
            "Keep the links best and last to checkpoints.", in: .output, for: [.sft]),
        CommandOption(
            "logging_strategy", .words(of: IntervalStrategy.self), default: .text("steps"),
            "When to write a line of the log.", in: .output, for: [.sft]),
        CommandOption(
            "logging_steps", .number(.interval), default: .number(5),
            "Steps between lines of the log; below 1 a share of all.", in: .output, for: [.sft]),
        CommandOption(
            "logging_first_step", .boolean, default: .boolean(true), "Log the first step too.", in: .output,
            for: [.sft]),
        CommandOption(
            "logging_dir", .text, computed: "<run>/runs", "Folder of the TensorBoard files.", in: .output,
            for: [.sft]),
        CommandOption(
            "report_to",
            .choices(
                ReportTarget.allCases.map(\.rawValue),
                later: ["azure_ml", "codecarbon", "flyte", "dagshub"]),
            default: .list(["tensorboard"]), "Where the log also goes: files; nothing is sent.", in: .output,
            for: [.sft]),
        CommandOption(
            "run_name", .text, "What wandb and swanlab call the run.", in: .output, for: [.sft]),
        CommandOption(
            "swanlab_project", .text, computed: "SWANLAB_PROJECT, else ms-swift", "Project of SwanLab.", in: .output,
            for: [.sft]),
        CommandOption(
            "swanlab_workspace", .text, computed: "the user's", "Workspace of SwanLab.", in: .output, for: [.sft]),
        CommandOption(
            "swanlab_exp_name", .text, computed: "run_name", "What SwanLab calls the run.", in: .output, for: [.sft]),
        CommandOption(
            "disable_tqdm", .boolean, computed: "false in a terminal", "No progress bar.", in: .output,
            for: [.sft]),
    ]
}
