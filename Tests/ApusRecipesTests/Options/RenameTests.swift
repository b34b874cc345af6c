import Foundation
import Testing

@testable import ApusRecipes

struct RenameTests {
    /// Older words, the option they set now, and its value.
    @Test(
        arguments: [
            ("--sft_type full", "tuner_type", .text("full")),
            ("--train_type lora", "tuner_type", .text("lora")),
            ("--train-type lora", "tuner_type", .text("lora")),
            ("--model_id_or_path m", "model", .text("m")),
            ("--dtype bf16", "torch_dtype", .text("bfloat16")),
            ("--dtype fp16", "torch_dtype", .text("float16")),
            ("--dtype fp32", "torch_dtype", .text("float32")),
            ("--batch_size 4", "per_device_train_batch_size", .integer(4)),
            ("--eval_batch_size 4", "per_device_eval_batch_size", .integer(4)),
            ("--evaluation_strategy no", "eval_strategy", .text("no")),
            ("--only_save_model true", "save_only_model", .boolean(true)),
            ("--add_output_dir_suffix false", "add_version", .boolean(false)),
            ("--lora_target_modules ALL", "target_modules", .list(["all-linear"])),
            ("--lora_target_modules DEFAULT", "target_modules", .list(["all-linear"])),
            ("--boft_target_modules AUTO", "target_modules", .list(["all-linear"])),
            ("--vera_target_modules q_proj v_proj", "target_modules", .list(["q_proj", "v_proj"])),
            ("--ia3_target_modules EMBEDDING", "target_modules", .list(["all-embedding"])),
            ("--target_modules ALL", "target_modules", .list(["all-linear"])),
            ("--lora_target_regex .*q", "target_regex", .text(".*q")),
            ("--lora_dropout_p 0.1", "lora_dropout", .number(0.1)),
            ("--init_lora_weights gaussian", "init_weights", .text("gaussian")),
            ("--init_lora_weights True", "init_weights", .text("true")),
            ("--loss_name infonce", "loss_type", .text("infonce")),
            ("--dataset_seed 1", "data_seed", .integer(1)),
            ("--dataset_test_ratio 0.01", "split_dataset_ratio", .number(0.01)),
            ("--preprocess_num_proc 2", "dataset_num_proc", .integer(2)),
            ("--custom_train_dataset_path a b", "dataset", .list(["a", "b"])),
            ("--custom_val_dataset_path a", "val_dataset", .list(["a"])),
            ("--dataset a --custom_train_dataset_path b c", "dataset", .list(["a", "b", "c"])),
            ("--custom_train_dataset_path b --dataset a", "dataset", .list(["a", "b"])),
            // Of one name the last counts, as everywhere.
            ("--custom_train_dataset_path b --dataset a --custom_train_dataset_path c", "dataset", .list(["a", "c"])),
            ("--custom_val_dataset_path b --val_dataset a", "val_dataset", .list(["a", "b"])),
            ("--custom_train_dataset_path b --train_dataset_sample 5", "dataset", .list(["b#5"])),
            (
                "--custom_train_dataset_path b --self_cognition_sample 5", "dataset",
                .list(["b", "swift/self-cognition#5"])
            ),
            ("--truncation_strategy truncation_left", "truncation_strategy", .text("left")),
            ("--truncation_strategy ignore", "truncation_strategy", .text("delete")),
            ("--load_args_from_ckpt_dir true", "load_args", .boolean(true)),
            ("--use_flash_attn true", "attn_impl", .text("flash_attn")),
            ("--use_liger true", "use_liger_kernel", .boolean(true)),
            ("--vit_use_gc true", "vit_gradient_checkpointing", .boolean(true)),
            ("--no_cuda true", "use_cpu", .boolean(true)),
            ("--template_type qwen", "template", .text("qwen")),
            ("--tools_prompt react_en", "agent_template", .text("react_en")),
            ("--overwrite_cache true", "load_from_cache_file", .boolean(false)),
            ("--streaming_buffer_size 9", "shuffle_buffer_size", .integer(9)),
            ("--tuner_type qlora", "quant_bits", .integer(4)), ("--tuner_type qlora", "tuner_type", .text("lora")),
            ("--tuner_type qlora --quant_bits 8", "quant_bits", .integer(8)),
            ("--finetuning_type dora", "use_dora", .boolean(true)),
            ("--template_type codefuse-codellama", "template", .text("codefuse_codellama")),
            ("--template_type default-generation", "use_chat_template", .boolean(false)),
            ("--use_loss_scale true", "loss_scale", .text("react")),
            ("--quantization_bit 4", "quant_method", .text("bnb")),
            ("--quantization_bit 8", "quant_bits", .integer(8)),
            ("--model_type qwen1half-7b-chat", "model", .text("qwen/Qwen1.5-7B-Chat")),
            ("--model_type qwen-7b-chat --model_id_or_path m", "model", .text("m")),
            ("--model_type xlm-roberta", "model_type", .text("xlm-roberta")),
            (
                "--dataset alpaca-zh#500 mine.jsonl", "dataset",
                .list(["AI-ModelScope/alpaca-gpt4-data-zh#500", "mine.jsonl"])
            ),
            ("--train_dataset_sample 20 --dataset a", "dataset", .list(["a#20"])),
            ("--train_dataset_sample -1 --dataset a b", "dataset", .list(["a", "b"])),
            ("--freeze_parameters 0.25", "freeze_parameters_ratio", .number(0.25)),
            ("--lora_dtype bf16", "lora_dtype", .text("bfloat16")),
            ("--self_cognition_sample 500 --dataset a", "dataset", .list(["a", "swift/self-cognition#500"])),
        ] as [(String, String, OptionValue)])
    func olderSpellingsForTraining(words: String, name: String, value: OptionValue) throws {
        let line = try ArgumentLine(words.split(separator: " ").map(String.init), for: .sft)
        #expect(line[name] == value)
        let names = words.split(separator: " ").filter { $0.hasPrefix("--") }.map { String($0.dropFirst(2)) }
        let hasOldName = names.contains { OptionTable.table(for: .sft)[$0] == nil }
        // Of today's names one has a value that another name has now.
        let isNoted = hasOldName || words.hasPrefix("--freeze_parameters ")
        #expect(line.notices.contains { $0.contains("is now") } == isNoted, "\(line.notices)")
    }

    /// A list with commas, with and without spaces behind them.
    @Test(arguments: [["q_proj,v_proj"], ["q_proj, v_proj"], ["q_proj,", "v_proj"], [" q_proj ,v_proj,"]])
    func listsWithCommas(words: [String]) throws {
        let line = try ArgumentLine(["--lora_target"] + words, for: .sft)
        #expect(line["target_modules"] == .list(["q_proj", "v_proj"]))
        #expect(try parsed("--lora_target all", "target_modules") == .list(["all-linear"]))
    }

    @Test(
        arguments: [
            ("--do_sample false", "temperature", .number(0)),
            ("--temperature 0.7 --do_sample true", "temperature", .number(0.7)),
            ("--load_dataset_config true --eval_human true", "load_data_args", .boolean(false)),
            ("--load_dataset_config true --eval_human false", "load_data_args", .boolean(true)),
            ("--merge_lora_and_save true", "merge_lora", .boolean(true)),
            ("--merge_lora_on_export true", "merge_lora", .boolean(true)),
            ("--infer_backend pt", "infer_backend", .text("transformers")),
            ("--result_dir out", "result_path", .text("out/infer_result.jsonl")),
            ("--val_dataset_sample 10", "val_dataset_sample", .integer(10)),
            ("--ckpt_dir nowhere", "model", .text("nowhere")),
        ] as [(String, String, OptionValue)])
    func olderSpellingsForInference(words: String, name: String, value: OptionValue) throws {
        #expect(try parsed(words, name, for: .infer) == value)
    }

    @Test(
        arguments: [
            ("--dtype AUTO", "torch_dtype"), ("--quantization_bit 0", "quant_bits"),
            ("--use_flash_attn false", "attn_impl"), ("--template_type AUTO", "template"),
            ("--lora_dtype AUTO", "lora_dtype"), ("--bnb_4bit_comp_dtype AUTO", "bnb_4bit_compute_dtype"),
            ("--train_dataset_sample -1", "dataset"),
            ("--self_cognition_sample 0", "dataset"), ("--overwrite_cache false", "load_from_cache_file"),
        ] as [(String, String)])
    func valuesThatMeantNothing(words: String, name: String) throws {
        #expect(try parsed(words, name) == nil)
    }

    /// Older spellings of what Apus does not have are refused under the name of today.
    @Test(
        arguments: [
            ("save_safetensors", "false", "safe_serialization"),
            ("device_map_config", "cpu", "device_map"), ("metric", "acc", "eval_metric"),
        ] as [(String, String, String)])
    func refusedUnderTheNameOfToday(old: String, value: String, name: String) {
        #expect(
            refusal(["--\(old)", value]).first?.hasPrefix("--\(name): ms-swift has it, Apus does not yet.") == true)
    }

    /// Older spellings of what can have no effect here are noted under the name of today.
    @Test(
        arguments: [
            ("check_model_is_latest", "true", "check_model"),
            ("deepspeed_config_path", "x.json", "deepspeed"),
            ("rescale_image", "9", "max_pixels"),
        ] as [(String, String, String)])
    func notedUnderTheNameOfToday(old: String, value: String, name: String) throws {
        let notices = try ArgumentLine(["--\(old)", value], for: .sft).notices
        #expect(notices.contains("--\(old) is now --\(name)."))
        #expect(notices.contains { $0.hasPrefix("--\(name)") && $0.contains("has no effect: ") }, "\(notices)")
    }

    /// Engines of others: how they use memory is without effect, several devices are refused.
    @Test(arguments: [
        "gpu_memory_utilization", "max_num_seqs", "enforce_eager", "limit_mm_per_prompt", "session_len",
        "cache_max_entry_count", "vision_batch_size",
    ])
    func enginesOfOthers(old: String) throws {
        let line = try ArgumentLine(["--\(old)", "1"], for: .infer)
        #expect(line.notices.contains { $0.contains("_\(old) has no effect: ") }, "\(line.notices)")
    }

    @Test(arguments: ["tensor_parallel_size", "tp", "quant_policy"])
    func devicesOfOthers(old: String) {
        #expect(refusal(["--\(old)", "4"], for: .infer).first?.contains("_\(old): ms-swift has it") == true)
    }

    @Test(arguments: [
        "loss_scale_config_path",
        "train_dataset_mix_ratio", "train_dataset_mix_ds", "test_oom_error", "gpu_memory_fraction", "lora_modules",
        "galore_config", "past_index",
    ])
    func withoutSuccessor(old: String) {
        let problems = refusal(["--\(old)", "1"])
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("--\(old): newer versions of ms-swift have no such option. ") == true)
    }

    @Test(arguments: [
        "check_dataset_strategy", "train_backend", "neftune_backend", "fp16_backend", "half_precision_backend",
    ])
    func dropped(old: String) throws {
        let line = try ArgumentLine(["--\(old)", "auto"], for: .sft)
        #expect(line.arguments.isEmpty)
        #expect(line.notices.first?.hasPrefix("--\(old) has no effect: ") == true)
    }

    /// Numbers of rows of several data sets have no one place.
    @Test func rowsOfSeveralDataSets() {
        #expect(refusal(["--dataset", "a", "b", "--train_dataset_sample", "5"]).count == 1)
        #expect(refusal(["--dataset", "a", "--train_dataset_sample", "x"]).count == 1)
    }

    /// Every rename leads to a field of ms-swift 4.6 or an option of Apus.
    @Test func namesOfTodayExist() {
        let names = Command.allCases.reduce(into: Set<String>()) { $0.formUnion(OptionTable.table(for: $1).allNames) }
        for rename in Rename.all.values {
            if let name = rename.name { #expect(names.contains(name), "\(rename.old) → \(name)") }
        }
    }

    @Test func checkpointFoldersAreAdaptersOrModels() throws {
        let folder = try TemporaryFolder()
        try folder.write("{}", to: "adapter_config.json")
        let line = try ArgumentLine(["--ckpt_dir", folder.path], for: .infer)
        #expect(line["adapters"] == .list([folder.path]))
        #expect(line["model"] == nil)
    }
}
