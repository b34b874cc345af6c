"""What the parity scripts share: loading folders and GGUF files by transformers, and writing what it computes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))

import torch
from common import write_json, write_tensors  # noqa: F401  (fixes determinism before torch is used)
from transformers import AutoModelForCausalLM, AutoTokenizer


def split(path):
    """A model folder, or a GGUF file as transformers wants it: its folder and its name."""
    path = Path(path)
    return (path.parent, {"gguf_file": path.name}) if path.suffix == ".gguf" else (path, {})


def load_model(path):
    """A model in fp32 with PyTorch's fused attention; GGUF weights are dequantised."""
    folder, options = split(path)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True, **options)
    return model.eval()


def load_tokenizer(path):
    folder, options = split(path)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, **options)


@torch.no_grad()
def logits(model, ids):
    """Logits [T, V] of one sequence, run alone and without a cache."""
    return model(torch.tensor([ids]), use_cache=False).logits[0].float()


def margins(scores):
    """How far the best score leads the second, for each row."""
    best = scores.topk(2, dim=-1).values
    return (best[..., 0] - best[..., 1]).tolist()
