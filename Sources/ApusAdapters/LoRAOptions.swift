import ApusJSON

extension LoRAConfiguration {
    static let rankOption = AdapterOption(
        "lora_rank", .integer(AdapterOption.counts), default: 8, "Rank r of the adapter.", decidesCount: true)
    static let alphaOption = AdapterOption(
        "lora_alpha", .number(.leastNonzeroMagnitude..<1e30), default: 32, "The adapter is scaled by alpha / r.")
    static let dropoutOption = AdapterOption(
        "lora_dropout", .number(0..<1), default: 0.05, "Dropout before the adapter.")
    static let rankStabilizationOption = AdapterOption(
        "use_rslora", .boolean, default: false, "Scale by alpha / √r instead.")
    static let decompositionOption = AdapterOption(
        "use_dora", .boolean, default: false, "Train the length of each row of the weights by itself (DoRA).",
        decidesCount: true)
    static let initializationOption = AdapterOption(
        "init_weights",
        .choice(
            [
                "true", "false", "gaussian", "pissa", "pissa_niter_4", "pissa_niter_16", "olora", "loftq", "eva",
                "corda",
                "lora-ga",
            ],
            later: ["pissa_niter_8", "bat"]),
        default: "true",
        "Start of the adapter: true (B = 0), false (random), gaussian, or made of the weights (pissa, olora, loftq) or of the "
            + "data (eva, corda, lora-ga).")
    static let rateRatioOption = AdapterOption(
        "lorap_lr_ratio", .number(.leastNonzeroMagnitude..<1e6),
        "Learning rate of B over that of A (LoRA+); without it they are the same.")
    static let tokensOption = AdapterOption(
        "trainable_token_indices", .list,
        "Ids of tokens whose vectors are trained beside, or JSON from modules to such ids.", decidesCount: true)
    static let biasOption = AdapterOption(
        "lora_bias", .choice(TrainedBiases.allCases.map(\.rawValue)), default: "none",
        "Whether biases are trained beside: those of the whole model, or of the adapted layers.",
        decidesCount: true)
    static let shiftOption = AdapterOption(
        "lora_b_bias", .boolean, default: false, "Give B a bias (PEFT's lora_bias).", decidesCount: true)
    static let rankPatternOption = AdapterOption(
        "lora_rank_pattern", .text, "Other ranks by layer, as JSON: {\"v_proj\": 16}.", decidesCount: true)
    static let alphaPatternOption = AdapterOption(
        "lora_alpha_pattern", .text, "Other alphas by layer, as JSON: {\"v_proj\": 64}.")
    static let replicationOption = AdapterOption(
        "layer_replication", .text,
        "Layers of the model as pieces that may overlap, as JSON: [[0, 4], [2, 5]]; each copy gets its own adapter.",
        decidesCount: true)
    static let parametersOption = AdapterOption(
        "target_parameters", .list, "Weights to adapt: ends of names, such as q_proj.weight.", decidesCount: true)
    package static let options =
        [
            rankOption, alphaOption, dropoutOption, rankStabilizationOption, decompositionOption,
            initializationOption, rateRatioOption, tokensOption, biasOption, shiftOption, rankPatternOption,
            alphaPatternOption, replicationOption, parametersOption, tyingOption,
        ] + LoRAStartSettings.options + LayerSelection.options
}
