import ApusAdapters
import ApusJSON
import ApusTorch
import ApusWeights
import Testing

@testable import ApusRecipes

// What settings do not go with, and which of them have nothing to do.

extension SettingsTests {
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
        "--load_best_model_at_end true", "--logging_steps 2.5", "--predict_with_generate true --loss_scale all",
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

    /// Checkpoints that are chosen among must be made; the flag that makes none is named.
    @Test(arguments: ["--load_best_model_at_end true", "--early_stop_interval 3"])
    func checkpointsThatAreChosenAmong(words: String) throws {
        for more in ["", " --eval_strategy steps"] {
            let refusal = #expect(throws: SettingsError.self) {
                try sft("\(words) --val_dataset v --save_strategy no\(more)")
            }
            let text = refusal.map(String.init(describing:)) ?? ""
            #expect(text.hasPrefix("\(words) goes by checkpoints, and --save_strategy no "), "\(text)")
        }
        _ = try sft("\(words) --val_dataset v")
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
        ("--optim sgd --adam_beta1 0.8", "--adam_beta1: without effect, because --optim sgd does not read it."),
        (
            "--optim lion_8bit --adam_beta1 0.8 --adam_epsilon 1e-6",
            "--adam_epsilon: without effect, because --optim lion_8bit does not read it."
        ),
        (
            "--optim grokadamw --adam_beta2 0.9",
            "--adam_beta2: without effect, because --optim grokadamw has constants of its own, as in the Trainer."
        ),
        ("--tuner_type oft --oft_eps 0.1", "--oft_eps: without effect, because --oft_coft is not true."),
    ])
    func idleFlagsAreNoted(words: String, notice: String) throws {
        var notices: [String] = []
        let line = ["--model", "m", "--dataset", "d"] + words.split(separator: " ").map(String.init)
        _ = try SFTSettings(try ArgumentLine(line, for: .sft), notices: &notices)
        #expect(notices == [notice])
    }

    /// An optimizer without a schedule warms up by itself, and Muon reads Adam's constants.
    @Test(arguments: [
        "--optim schedule_free_adamw --lr_scheduler_type constant --warmup_steps 3 --adam_beta1 0.8 --adam_epsilon 1e-6",
        "--optim schedule_free_sgd --lr_scheduler_type constant --warmup_ratio 0.1",
        "--optimizer muon --adam_beta1 0.8", "--optim lion_32bit --adam_beta2 0.9",
    ])
    func whatIsReadIsNotNoted(words: String) throws {
        var notices: [String] = []
        let line = ["--model", "m", "--dataset", "d"] + words.split(separator: " ").map(String.init)
        _ = try SFTSettings(try ArgumentLine(line, for: .sft), notices: &notices)
        #expect(notices == [])
    }

    /// What is said to be without effect has none: only conversations are laid into packs.
    @Test(arguments: ["causal_lm", "seq_cls", "embedding", "reranker", "mlm", "seq2seq_lm"])
    func idlePackingIsOff(task: String) throws {
        var notices: [String] = []
        let labels = task == "seq_cls" ? ["--num_labels", "2"] : []
        let line = ["--model", "m", "--dataset", "d", "--task_type", task, "--packing", "true"] + labels
        let settings = try SFTSettings(try ArgumentLine(line, for: .sft), notices: &notices)
        #expect(settings.batches.packing == (task == "causal_lm"))
        let notice = "--packing: without effect, because --task_type is \(task)."
        #expect(notices == (task == "causal_lm" ? [] : [notice]))
    }

    /// Nor does an idle choice of what is counted decide which metrics there are.
    @Test func idleAccuracyIsNotMeasured() throws {
        var notices: [String] = []
        let line = "--model m --dataset d --val_dataset v --task_type mlm --acc_strategy seq --metric_for_best_model "
        func check(_ metric: String) throws {
            let words = (line + metric).split(separator: " ").map(String.init)
            _ = try SFTSettings(try ArgumentLine(words, for: .sft), notices: &notices)
        }
        try check("token_acc")
        #expect(throws: SettingsError.self) { try check("seq_acc") }
    }

    /// An evaluation that was asked for and cannot be is said; the default that cannot be is not.
    @Test(
        arguments: [
            ("", 0), ("--eval_strategy no", 0), ("--eval_strategy steps", 1), ("--eval_steps 50", 1),
            ("--eval_strategy epoch --eval_steps 50 --metric_for_best_model token_acc", 1),
            ("--val_dataset v.jsonl --save_strategy no", 1), ("--val_dataset v.jsonl --eval_strategy no", 1),
            ("--val_dataset v.jsonl --save_strategy no --eval_strategy steps", 0),
            ("--val_dataset v.jsonl --save_strategy no --eval_on_start true", 0),
            ("--eval_strategy steps --val_dataset v.jsonl", 0), ("--eval_strategy steps --split_dataset_ratio 0.1", 0),
        ] as [(String, Int)])
    func evaluationWithoutData(words: String, count: Int) throws {
        var notices: [String] = []
        let words = "--model m --dataset d.jsonl \(words)".split(separator: " ").map(String.init)
        _ = try SFTSettings(try ArgumentLine(words, for: .sft), notices: &notices)
        #expect(notices.filter { $0.contains("nothing is evaluated") }.count == count, "\(notices)")
    }

    /// Nothing is held out that no evaluation reads, whichever flag says that there is none.
    @Test(arguments: [
        ("--eval_strategy no", "--eval_strategy is no"),
        ("--save_strategy no", "--save_strategy is no, which --eval_strategy follows where it is not given"),
    ])
    func nothingIsHeldOutForNoEvaluation(words: String, reason: String) throws {
        var notices: [String] = []
        let line = "--model m --dataset d --split_dataset_ratio 0.1 \(words)".split(separator: " ").map(String.init)
        let settings = try SFTSettings(try ArgumentLine(line, for: .sft), notices: &notices)
        #expect(settings.data.splitDatasetRatio == 0)
        #expect(notices == ["--split_dataset_ratio is 0, because \(reason)."])
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
}
