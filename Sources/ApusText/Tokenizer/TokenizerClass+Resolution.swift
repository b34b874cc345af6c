extension TokenizerClass {
    /// What the files of a folder say about the class that reads it.
    struct Clues {
        /// `tokenizer_class` of `tokenizer_config.json`.
        var tokenizerClass: String?
        /// `tokenizer_class` of `config.json`.
        var modelTokenizerClass: String?
        /// `model_type` of `config.json`.
        var modelType: String?
        /// Whether the folder brings code of its own for its tokenizer (`auto_map`); Apus runs none.
        var namesCode = false
        /// Whether a `tokenizer.json` speaks of bytes, found out only where it matters.
        var spellsBytes: () throws -> Bool = { false }
    }

    /// The class that `AutoTokenizer` of `transformers` 5 takes; nil where nothing says.
    static func resolved(_ clues: Clues) throws -> TokenizerClass? {
        func bare(_ name: String) -> String { name.hasSuffix("Fast") ? String(name.dropLast(4)) : name }
        let hub = (clues.tokenizerClass ?? clues.modelTokenizerClass).map(bare)
        let registered = clues.modelType.flatMap { classOfModelType[$0] }
        if !clues.namesCode, let hub {
            let isMislabelled = clues.modelType.map(mislabelledModelTypes.contains) ?? false
            // Llama 3 and its descendants call themselves by the class of Llama 2.
            if hub == "LlamaTokenizer", !isMislabelled, try clues.spellsBytes() { return .asGiven(hub) }
            if let registered, registered != hub {
                if registered == genericClass { return .asGiven(hub) }
                return TokenizerClass(named: isMislabelled ? registered : hub)
            }
        }
        if let name = hub ?? registered { return TokenizerClass(named: name) }
        return clues.modelType.map { .asGiven("model type \($0)") }
    }

    private static let genericClass = "TokenizersBackend"

    /// Types whose folders name a wrong class, so that the one of the type is taken.
    ///
    /// Source: `MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS`; those that are left out have no class of their own.
    private static let mislabelledModelTypes: Set<String> = [
        "hyperclovax_vision_v2", "qwen2", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen4_exp",
    ]

    private static let classOfModelType: [String: String] = {
        var classes: [String: String] = [:]
        for (name, types) in modelTypes { for type in types.split(separator: " ") { classes[String(type)] = name } }
        return classes
    }()

    /// The types of models by their tokenizer class: those that build their own steps, and those that never do.
    ///
    /// Source: `TOKENIZER_MAPPING_NAMES`. A type that is missing takes the class that its folder names.
    private static let modelTypes: [String: String] = [
        "AlbertTokenizer": """
        albert yoso
        """,
        "BartTokenizer": """
        florence2
        """,
        "BertTokenizer": """
        align bark bert blip bros chinese_clip convbert distilbert electra ernie flava git grounding-dino \
        layoutlm megatron-bert mm-grounding-dino nezha nomic_bert qdqbert realm retribert squeezebert tvp \
        vilt visual_bert
        """,
        "BigBirdTokenizer": """
        big_bird
        """,
        "BlenderbotTokenizer": """
        blenderbot
        """,
        "CamembertTokenizer": """
        camembert
        """,
        "CohereTokenizer": """
        aya_vision cohere cohere2
        """,
        "DebertaTokenizer": """
        deberta
        """,
        "DebertaV2Tokenizer": """
        deberta-v2
        """,
        "FunnelTokenizer": """
        funnel
        """,
        "GPT2Tokenizer": """
        blip-2 codegen dbrx emu3 gpt2 gpt_neo gptj hyperclovax_vision_v2 instructblip instructblipvideo \
        jais2 opt phi starcoder2
        """,
        "GPTNeoXTokenizer": """
        falcon_mamba gpt_neox mamba mamba2 mpt olmo olmoe rwkv xlstm
        """,
        "GemmaTokenizer": """
        diffusion_gemma gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma shieldgemma2 \
        t5gemma zaya
        """,
        "LEDTokenizer": """
        led
        """,
        "LlamaTokenizer": """
        idefics idefics2
        """,
        "LxmertTokenizer": """
        lxmert
        """,
        "MPNetTokenizer": """
        mpnet
        """,
        "MobileBertTokenizer": """
        mobilebert
        """,
        "MvpTokenizer": """
        mvp
        """,
        "Qwen2Tokenizer": """
        audioflamingo3 colqwen2 cosmos3_omni dots3_note fun_asr_nano hunyuan_vl internvl lighton_ocr \
        moss_transcribe_diarize ovis2 qianfan_ocr qwen2 qwen2_5_omni qwen2_5_vl qwen2_audio qwen2_moe \
        qwen2_vl qwen3 qwen3_asr qwen3_moe qwen3_next qwen3_omni_moe qwen3_vl qwen3_vl_moe vibevoice
        """,
        "Qwen3_5Tokenizer": """
        qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen4_exp
        """,
        "RemBertTokenizer": """
        rembert
        """,
        "RobertaTokenizer": """
        bart bridgetower clap data2vec-text ibert lilt longformer mega mra roberta roberta-prelayernorm
        """,
        "T5Tokenizer": """
        mt5 musicgen musicgen_melody switch_transformers t5
        """,
        "TokenizersBackend": """
        EvollaModel arctic aria beam bigbird_pegasus camembertv2-base canary chatlm cohere_asr ernie4_5 \
        ernie4_5_moe flex_olmo fuyu glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe glm_image glmasr \
        got_ocr2 gpt_bigcode gradium_phonon_tts granite granitemoe granitemoehybrid granitemoeshared \
        h2ovl_chat hyperclovax hyperclovax_vlm internlm2 internlm3 iquestcoder jamba kimi_k25 kimi_linear \
        kosmos-2 llava llava_next mimo_v2_flash minicpm3 minicpm_ocr minicpmv minicpmv4_6 minicpmv4_7 \
        minimax_m2 ministral ministral3 mistral mistral3 mistral_large4 mixtral modernbert \
        modernbert-decoder molmo molmo2 nemo_speechlm nemotron nvfp4 nystromformer olmo2 olmo3 olmo_hybrid \
        omniasr opencua openvla paddleocr_vl pegasus_x persimmon phi3 phi3_v phimoe pix2struct pixtral \
        pocket_tts smolvlm stablelm step3_vl umt5 vipllava voxtral voxtral_realtime xlm-roberta-xl
        """,
        "XLMRobertaTokenizer": """
        gte jina_embeddings_v3 metaclip_2 trocr xlm-roberta xmod
        """,
        "XLNetTokenizer": """
        xlnet
        """,
    ]
}
