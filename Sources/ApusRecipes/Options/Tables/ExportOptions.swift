import ApusAdapters
import ApusWeights

extension OptionTable {
    static let exportOptions: [CommandOption] = [
        CommandOption(
            "merge_lora", .boolean, default: .boolean(false), "Merge the adapter into the model.", in: .command,
            for: exporting),
        CommandOption(
            "convert_to_lora", .boolean, default: .boolean(false),
            "Write what an adapter of PiSSA or OLoRA has changed as a plain LoRA adapter of twice the rank.",
            in: .command,
            for: [.export]),
        CommandOption(
            "output_dir", .text, computed: "<adapter>-merged, -combined, -lora, <model>-gguf", "Folder to write.",
            in: .command,
            for: exporting),
        CommandOption(
            "exist_ok", .boolean, default: .boolean(false), "Replace that folder if it exists.", in: .command,
            for: exporting),
        CommandOption(
            "combination_type", .words(of: AdapterCombination.Kind.self),
            "Make one LoRA adapter of several (--adapters a b), in one of PEFT's ways.", in: .command, for: [.export]),
        CommandOption(
            "adapter_weights", .list, computed: "1 for each", "Weight of each adapter.", in: .command, for: [.export]),
        CommandOption(
            "density", .number(.from(0, upTo: 1)), "Share of the numbers that stay: ties, dare_…, magnitude_prune.",
            in: .command, for: [.export]),
        CommandOption(
            "majority_sign_method", .words(of: AdapterCombination.MajoritySign.self), default: .text("total"),
            "What elects signs for ties.", in: .command, for: [.export]),
        CommandOption(
            "svd_rank", .integer(AdapterOption.counts), computed: "the largest of the adapters",
            "Rank of the result of …svd.", in: .command, for: [.export]),
        CommandOption(
            "max_shard_size", .text, default: .text("5GB"), "Largest file of weights: 500MB, 5GB, 2GiB.",
            in: .command, for: exporting),
        CommandOption(
            "to_gguf", .boolean, default: .boolean(false),
            "Write a GGUF file for llama.cpp and Ollama, with a Modelfile.", in: .command, for: exporting),
        CommandOption(
            "gguf_type", .words(of: GGUFFileType.self), default: .text("F16"), "Mixture of types in it.", in: .command,
            for: exporting),
    ]
}
