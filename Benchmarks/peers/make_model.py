"""Writes a Hugging Face folder with random bfloat16 weights in the shape of a well-known model, for speed runs.

    make_model.py --shape qwen2.5-0.5b --out FOLDER
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoConfig, AutoModelForCausalLM

SHARED = {"hidden_act": "silu", "torch_dtype": "bfloat16", "tie_word_embeddings": True, "use_cache": True,
          "initializer_range": 0.02}
SHAPES = {
    "qwen2.5-0.5b": SHARED | {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896,
        "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
        "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "use_sliding_window": False,
        "sliding_window": 32768, "max_window_layers": 24, "bos_token_id": 151643, "eos_token_id": 151645},
    "qwen2.5-1.5b": SHARED | {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 1536,
        "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
        "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "use_sliding_window": False,
        "sliding_window": 32768, "max_window_layers": 28, "bos_token_id": 151643, "eos_token_id": 151645},
    "smollm2-135m": SHARED | {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 49152, "hidden_size": 576,
        "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "max_position_embeddings": 8192, "rope_theta": 100000.0, "rms_norm_eps": 1e-5, "bos_token_id": 1,
        "eos_token_id": 2},
    "tiny": SHARED | {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 32,
        "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 4096, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "use_sliding_window": False,
        "bos_token_id": 151643, "eos_token_id": 151645},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(SHAPES[options.shape], indent=2) + "\n"
    (options.out / "config.json").write_text(text)
    torch.manual_seed(options.seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(options.out), dtype=torch.bfloat16)
    model.save_pretrained(options.out, max_shard_size="10GB")
    (options.out / "config.json").write_text(text)
    print(f"{options.out}: {model.num_parameters():,} parameters")


if __name__ == "__main__":
    main()
