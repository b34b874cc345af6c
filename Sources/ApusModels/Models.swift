package import ApusLanguageModel

/// Every architecture there is, by the `model_type` of its `config.json`.
package enum Models {
    package static let registry = ModelRegistry([
        "albert": ALBERT.make,
        "bert": BERT.make,
        "bloom": BLOOM.make,
        "deberta-v2": DeBERTa.make,
        "distilbert": DistilBERT.make,
        "electra": ELECTRA.make,
        "falcon": Falcon.make,
        "gpt2": GPT2.make,
        "gpt_neo": GPTNeo.make,
        "gpt_neox": GPTNeoX.make,
        "gptj": GPTJ.make,
        "llama": Llama.make,
        "mistral": Mistral.make,
        "modernbert": ModernBERT.make,
        "mpt": MPT.make,
        "mt5": T5.makeMultilingual,
        "opt": OPT.make,
        "qwen2": Qwen2.make,
        "qwen3": Qwen3.make,
        "RefinedWeb": Falcon.make,
        "RefinedWebModel": Falcon.make,
        "roberta": RoBERTa.make,
        "stablelm": StableLM.make,
        "starcoder2": StarCoder2.make,
        "t5": T5.make,
        "xlm-roberta": XLMRoBERTa.make,
        "yuan": Yuan2.make,
    ])
}
