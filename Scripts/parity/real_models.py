"""What transformers computes with a real model in a GGUF file, dequantised to fp32.

Writes to --out:
  expected.json         `pieces` of real text (ids, and for each position the most likely next id and its margin) and
                        `chats` (a user's prompt, the rendered prompt's ids, the ids of a greedy answer, margins)
  expected.safetensors  `top5.scores.N`, `top5.ids.N` of each piece

An id is only comparable where its margin exceeds what rounding can move.
"""

import argparse
import json
from pathlib import Path

import torch
from oracle import load_model, load_tokenizer, logits, margins, write_json, write_tensors
from transformers import GenerationConfig


def cut_pieces(tokenizer, files, count, length):
    """`count` pieces of exactly `length` ids from each text file, evenly spread over its first megabytes."""
    pieces = []
    for file in files:
        text = Path(file).read_text(encoding="utf-8")[:4_000_000]
        for n in range(count):
            start = n * max(0, len(text) - 12 * length) // max(1, count)
            ids = tokenizer(text[start : start + 12 * length], add_special_tokens=False)["input_ids"][:length]
            if len(ids) < length:
                raise SystemExit(f"{file} is too short: wanted {length} ids from character {start}, got {len(ids)}")
            pieces.append({"file": Path(file).name, "start": start, "ids": ids})
    return pieces


def read_prompts(files, count):
    """The first short instructions without further input of each Alpaca-style JSON file."""
    prompts = []
    for file in files:
        rows = json.loads(Path(file).read_text(encoding="utf-8"))
        short = [row["instruction"] for row in rows if not row.get("input") and len(row["instruction"]) < 200]
        prompts += short[:count]
    return prompts


def answer(model, tokenizer, prompt, length):
    """A greedy answer to one chat prompt; it ends early where the model ends it."""
    chat = [{"role": "user", "content": prompt}]
    rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=length, eos_token_id=tokenizer.eos_token_id, pad_token_id=0,
        return_dict_in_generate=True, output_scores=True)
    result = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    new = result.sequences[0, len(ids) :].tolist()
    return {"prompt": prompt, "rendered": rendered, "promptIds": ids, "ids": new,
            "text": tokenizer.decode(new, skip_special_tokens=True),
            "margins": [round(m, 6) for m in margins(torch.stack(result.scores)[:, 0])]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="GGUF file, or a model folder with its tokenizer")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts", nargs="*", default=[], help="plain text files to cut pieces from")
    parser.add_argument("--pieces", type=int, default=4, help="pieces of each text file")
    parser.add_argument("--length", type=int, default=160, help="ids of a piece")
    parser.add_argument("--prompts", nargs="*", default=[], help="Alpaca-style JSON files to take instructions from")
    parser.add_argument("--chats", type=int, default=25, help="instructions of each such file")
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tokenizer, model = load_tokenizer(options.model), load_model(options.model)

    tensors = {}
    pieces = cut_pieces(tokenizer, options.texts, options.pieces, options.length)
    for n, piece in enumerate(pieces):
        scores = logits(model, piece["ids"])
        best = scores.topk(5, dim=-1)
        piece["argmax"] = best.indices[:, 0].tolist()
        piece["margins"] = [round(m, 6) for m in margins(scores)]
        tensors |= {f"top5.scores.{n}": best.values, f"top5.ids.{n}": best.indices.to(torch.int32)}
    chats = [answer(model, tokenizer, prompt, options.new_tokens)
             for prompt in read_prompts(options.prompts, options.chats)]
    write_tensors(options.out / "expected.safetensors", tensors)
    write_json(options.out / "expected.json", {
        "model": Path(options.model).name, "eos": tokenizer.eos_token_id, "pieces": pieces, "chats": chats})
    positions = sum(len(piece["ids"]) for piece in pieces)
    print(f"{options.out}: {positions} positions in {len(pieces)} pieces, {len(chats)} chats")


if __name__ == "__main__":
    main()
