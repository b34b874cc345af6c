/// The commands of ms-swift and of Apus.
package enum Command: String, CaseIterable, Sendable {
    case sft
    case infer
    case export
    case mergeLoRA = "merge-lora"
    case params
    case tokenize
    case template
    case download
    case pt
    case rlhf
    case deploy
    case eval
    case app
    case webUI = "web-ui"
    case rollout
    case sample

    /// Reads a command name, in which ms-swift lets `_` and `-` stand for each other.
    package init?(spelling: String) {
        let name = String(spelling.map { $0 == "_" ? "-" : $0 })
        self.init(rawValue: name == "app-ui" ? "app" : name)
    }

    /// Commands of ms-swift 2.x that are kinds of `rlhf` now.
    package static let kindsOfRLHF: Set<String> = ["dpo", "orpo", "simpo", "kto", "cpo", "rm", "ppo", "grpo", "gkd"]

    /// Whether Apus has the command; the others are ms-swift's and are refused by name.
    package var isSupported: Bool {
        switch self {
        case .sft, .pt, .rlhf, .infer, .export, .mergeLoRA, .params, .tokenize, .template, .download, .sample: true
        case .deploy, .eval, .app, .webUI, .rollout: false
        }
    }

    var trains: Bool { [.sft, .pt, .rlhf].contains(self) }

    /// Whether the command multiplies matrices; the others only read files and count.
    package var computes: Bool {
        switch self {
        case .params, .tokenize, .template, .download: false
        default: isSupported
        }
    }

    /// One line for the list of commands.
    package var summary: String {
        switch self {
        case .sft: "Fine-tune a language model on conversations, with LoRA or in full."
        case .infer: "Answer: a chat in the terminal, or every row of a dataset."
        case .export: "Write a model in another form, such as with its adapter merged in."
        case .mergeLoRA: "Merge a LoRA adapter into its base model."
        case .params: "Count parameters, total and trainable, without loading weights."
        case .tokenize: "Show the tokens of a text, or the text of tokens."
        case .template: "Show what a conversation becomes: text, tokens and which of them train."
        case .download: "Fetch models, adapters and data sets from a hub."
        case .pt: "Continue pretraining on plain text: sft that learns every token and uses no chat template."
        case .rlhf: "Learn from preferences (dpo, orpo, cpo, simpo, kto, rm), rewards (grpo, ppo) or a teacher (gkd)."
        case .deploy: "Serve a model over HTTP."
        case .eval: "Run benchmarks."
        case .app: "Chat in the browser."
        case .webUI: "Train in the browser."
        case .rollout: "Serve generations to a reinforcement-learning run."
        case .sample: "Draw several answers to each question, judge them, keep the best beside the worst."
        }
    }

    /// How the command is called.
    var usage: String {
        switch self {
        case .tokenize, .template, .params: "apus \(rawValue) --option value …"
        case .download: "apus download ID … [--option value …]"
        default: "apus \(rawValue) [config.yaml] [--option value …]"
        }
    }

    /// Two calls that work when the paths are one's own.
    var examples: [String] {
        switch self {
        case .sft:
            [
                "apus sft --model Qwen2.5-0.5B-Instruct --dataset train.jsonl --output_dir output",
                "apus sft --model bert-base --task_type seq_cls --num_labels 2 --dataset train.csv --val_dataset dev.csv "
                    + "--tuner_type full --learning_rate 2e-5",
            ]
        case .pt:
            [
                "apus pt --model Qwen2.5-0.5B --dataset corpus.jsonl --tuner_type full --packing true --max_length 4096",
                "apus pt --model Qwen2.5-0.5B --dataset books.txt --truncation_strategy split --max_length 2048",
            ]
        case .rlhf:
            [
                "apus rlhf --rlhf_type dpo --model Qwen2.5-0.5B-Instruct --dataset pairs.jsonl --output_dir output",
                "apus rlhf --rlhf_type grpo --model Qwen2.5-0.5B-Instruct --dataset questions.jsonl "
                    + "--reward_funcs accuracy ./score.py --per_device_train_batch_size 16",
            ]
        case .infer:
            [
                "apus infer --adapters output/v0-20260101-120000/checkpoint-100",
                "apus infer --model Qwen2.5-0.5B-Instruct --val_dataset questions.jsonl --result_path answers.jsonl "
                    + "--temperature 0",
            ]
        case .export:
            [
                "apus export --adapters output/v0-20260101-120000/checkpoint-100 --merge_lora true",
                "apus export --adapters checkpoint-100 --merge_lora true --output_dir merged --max_shard_size 2GB",
            ]
        case .mergeLoRA:
            [
                "apus merge-lora --adapters output/v0-20260101-120000/checkpoint-100",
                "apus merge-lora --adapters checkpoint-100 --output_dir merged --torch_dtype bfloat16",
            ]
        case .params:
            [
                "apus params --model Qwen2.5-0.5B-Instruct --lora_rank 16",
                "apus params --model Qwen2.5-0.5B-Instruct --tuner_type full",
            ]
        case .tokenize:
            [
                "apus tokenize --model Qwen2.5-0.5B-Instruct --text 'Hello, world'",
                "echo '[9707, 11, 1879]' | apus tokenize --model Qwen2.5-0.5B-Instruct --decode",
            ]
        case .template:
            [
                #"apus template --model Qwen2.5-0.5B-Instruct --messages '[{"role": "user", "content": "Hi"}]'"#,
                "apus template --model Qwen2.5-0.5B-Instruct --messages conversation.json --show_labels true",
            ]
        case .download:
            [
                "apus download Qwen/Qwen2.5-0.5B-Instruct",
                "apus download hf::sentence-transformers/stsb --repo_type dataset --local_dir stsb",
            ]
        case .sample:
            [
                "apus sample --model Qwen2.5-0.5B-Instruct --dataset questions.jsonl --num_return_sequences 8 "
                    + "--max_new_tokens 512",
                "apus sample --model Qwen2.5-0.5B-Instruct --dataset maths.jsonl --reward_funcs accuracy ./score.py "
                    + "--n_best_to_keep 2 --output_file pairs.jsonl",
            ]
        default: []
        }
    }

    /// Why ms-swift's command does not run here, and what to do instead; nil for a supported command.
    package var refusal: UsageError? {
        guard !isSupported else { return nil }
        let commands = Self.allCases.filter(\.isSupported).map(\.rawValue).joined(separator: ", ")
        return UsageError("\(rawValue): ms-swift has this command, Apus does not yet. Apus has \(commands).")
    }
}
