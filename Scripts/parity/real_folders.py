"""What transformers computes with real models in folders of Hugging Face, for random ids in sequences of unequal lengths.

usage: real_folders.py --weights FOLDER --stories FOLDER --out FOLDER

For each model `OUT/NAME.safetensors`: `ids.N`, and `logits.N` or, of models without a head, `hidden.N`.
`--stories` names a folder with a model of llama2.c, which is first written as a folder of Hugging Face; of it there is also
`greedy`, the ids of the published text, which transformers must give too.
"""

import argparse
import json
import os
import struct
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

MODELS = {"mgm-gpt2": AutoModelForCausalLM, "bert-tiny-mlm": AutoModelForMaskedLM, "m3e-small-zh": AutoModel,
          "minilm-l6-v2": AutoModel}


def read_stories(folder, out):
    """Writes a llama2.c model of version 0 as a folder of Hugging Face; returns the pieces of its vocabulary."""
    data = (folder / "stories260K.bin").read_bytes()
    width, hidden, layers, heads, groups, vocabulary, length = struct.unpack("7i", data[:28])
    numbers = torch.frombuffer(bytearray(data[28:]), dtype=torch.float32)
    place, size = 0, width // heads

    def take(*shape):
        nonlocal place
        count = torch.Size(shape).numel()
        place += count
        return numbers[place - count:place].reshape(shape)

    def halves(matrix, count):
        # Neighbours are turned together there, elements half a head apart here.
        return matrix.reshape(layers, count, size // 2, 2, width).transpose(2, 3).reshape(layers, -1, width)

    table = take(abs(vocabulary), width)
    parts = {"input_layernorm": take(layers, width), "self_attn.q_proj": halves(take(layers, width, width), heads),
             "self_attn.k_proj": halves(take(layers, groups * size, width), groups),
             "self_attn.v_proj": take(layers, groups * size, width), "self_attn.o_proj": take(layers, width, width),
             "post_attention_layernorm": take(layers, width), "mlp.gate_proj": take(layers, hidden, width),
             "mlp.down_proj": take(layers, width, hidden), "mlp.up_proj": take(layers, hidden, width)}
    tensors = {f"model.layers.{n}.{name}.weight": value[n].clone() for name, value in parts.items()
               for n in range(layers)}
    tensors |= {"model.embed_tokens.weight": table.clone(), "model.norm.weight": take(width).clone()}
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": abs(vocabulary),
        "hidden_size": width, "intermediate_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": groups, "max_position_embeddings": length, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "rope_theta": 10000.0, "tie_word_embeddings": vocabulary > 0, "bos_token_id": 1, "eos_token_id": 2}))
    data, pieces, place = (folder / "tok512.bin").read_bytes(), [], 4
    while place < len(data):
        count = struct.unpack("i", data[place + 4:place + 8])[0]
        pieces.append(data[place + 8:place + 8 + count])
        place += 8 + count
    return pieces


@torch.no_grad()
def answers(model, out, name, extra=None):
    generator = torch.Generator().manual_seed(1)
    longest = min(getattr(model.config, "n_positions", 512), getattr(model.config, "max_position_embeddings", 512), 300)
    tensors = dict(extra or {})
    for n, length in enumerate([5, longest, 64]):
        ids = torch.randint(5, model.config.vocab_size, (1, length), generator=generator)
        result = model(ids)
        key, value = ("logits", result.logits) if hasattr(result, "logits") else ("hidden", result.last_hidden_state)
        tensors |= {f"ids.{n}": ids[0].int(), f"{key}.{n}": value[0].contiguous()}
    save_file(tensors, out / f"{name}.safetensors")
    print(name, {key: list(value.shape) for key, value in tensors.items()})


@torch.no_grad()
def greedy_text(model, pieces, folder):
    published = (folder / "expected_greedy_200.txt").read_bytes().rstrip(b"\n")
    ids = [1]
    while len(ids) < 201:
        ids.append(model(torch.tensor([ids])).logits[0, -1].argmax().item())
    text = b"".join(bytes([int(pieces[i][3:5], 16)]) if pieces[i][:3] == b"<0x" else pieces[i] for i in ids[1:])
    text = text.lstrip(b" ")
    same = len(os.path.commonprefix([text, published]))
    assert same >= min(len(text), len(published)) - 1, (text[same - 20:same + 20], published[same - 20:same + 20])
    return torch.tensor(ids, dtype=torch.int32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for word in ["weights", "stories", "out"]:
        parser.add_argument(f"--{word}", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, kind in MODELS.items():
        model = kind.from_pretrained(options.weights / name, dtype=torch.float32, attn_implementation="eager").eval()
        answers(model, options.out, name)
    pieces = read_stories(options.stories, options.out / "stories260K")
    model = AutoModelForCausalLM.from_pretrained(options.out / "stories260K", dtype=torch.float32).eval()
    answers(model, options.out, "stories260K", {"greedy": greedy_text(model, pieces, options.stories)})
