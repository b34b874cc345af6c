extension OptionTable {
    /// Flags whose effect cannot exist in Apus.
    ///
    /// Each use prints its reason.
    static let noEffectOptions: [CommandOption] = [
        noEffect(
            "there is one implementation of attention, whichever is named", loading,
            ["attn_impl": .text]),
        noEffect(
            "one process computes on one device", loading, ["ddp_timeout": .integer, "ddp_backend": .text]),
        noEffect(
            "one process computes on one device", [.sft],
            [
                "ddp_find_unused_parameters": .boolean, "ddp_bucket_cap_mb": .integer,
                "ddp_broadcast_buffers": .boolean, "average_tokens_across_devices": .boolean,
            ]),
        noEffect(
            "batches are made by threads of the same process", [.sft],
            [
                "dataloader_pin_memory": .boolean, "dataloader_persistent_workers": .boolean,
                "dataloader_prefetch_factor": .integer, "dataloader_multiprocessing_context": .text,
            ]),
        noEffect(
            "the samples of a batch are always laid end to end, without padding", [.sft, .infer],
            ["padding_free": .boolean, "padding_side": .choice(["left", "right"])]),
        noEffect(
            "logits are only ever computed for the tokens that train", [.sft],
            ["use_logits_to_keep": .boolean, "use_liger_kernel": .boolean]),
        noEffect("every answer is written when it is there", [.infer], ["write_batch_size": .integer]),
        noEffect("there is no cache of prepared data", [.sft, .infer], ["load_from_cache_file": .boolean]),
        noEffect(
            "the models of Apus have no vision part", [.sft],
            ["freeze_vit": .boolean, "freeze_aligner": .boolean, "vit_gradient_checkpointing": .boolean]),
        noEffect("gradient checkpointing has no variants", [.sft], ["gradient_checkpointing_kwargs": .json]),
    ].flatMap(\.self)

    private static func noEffect(
        _ reason: String, _ commands: Set<Command>, _ kinds: KeyValuePairs<String, OptionKind>
    ) -> [CommandOption] {
        kinds.map { name, kind in
            CommandOption(name, kind, reason, in: .noEffect, for: commands, status: .noEffect(reason))
        }
    }
}
