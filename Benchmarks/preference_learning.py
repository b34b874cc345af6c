"""What a small model learns of preferences: held-out accuracy as it learns, Apus beside TRL from the same weights.

usage: Benchmarks/preference_learning.py APUS MODEL PAIRS --method dpo|rm [--peer PYTHON] [--train 128] [--held 200]
       [--longest 700] [--steps 32] [--evaluations 4] [--batch 4] [--rate 2e-4] [--out NAME]

PAIRS is a file of rows with "prompt", "chosen" and "rejected" as lists of messages (`pairs` makes one of Anthropic's hh-rlhf or of
LLaMA-Factory's DPO rows: Benchmarks/preference_learning.py pairs FILE OUT). The shortest rows are taken, so many for
learning and so many held back, the same in the same order for both; LoRA r = 8 on all linear layers, AdamW, a falling rate,
no dropout, float32. Nothing is timed. Writes NAME.svg, held-out accuracy against steps, and prints the rows of its table.
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = r'''
import json, sys
import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer
method, model, folder, steps, every, batch, rate = sys.argv[1:8]
torch.set_num_threads(2)
words = AutoTokenizer.from_pretrained(model)
data = {name: load_dataset("json", data_files=f"{folder}/{name}.jsonl", split="train") for name in ("train", "held")}
options = dict(
    output_dir=f"{folder}/trl", use_cpu=True, bf16=False, max_steps=int(steps), per_device_train_batch_size=int(batch),
    per_device_eval_batch_size=4, gradient_accumulation_steps=1, logging_steps=1, learning_rate=float(rate),
    save_strategy="no", report_to="none", disable_tqdm=True, train_sampling_strategy="sequential", max_length=None,
    eval_on_start=True, eval_strategy="steps", eval_steps=int(every), lr_scheduler_type="linear", weight_decay=0.1,
    adam_beta2=0.95, max_grad_norm=1.0, gradient_checkpointing=False)
lora = dict(r=8, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear")
if method == "dpo":
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    trainer = DPOTrainer(base, args=DPOConfig(**options), train_dataset=data["train"], eval_dataset=data["held"],
                         processing_class=words, peft_config=LoraConfig(task_type="CAUSAL_LM", **lora))
else:
    base = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32, num_labels=1)
    torch.manual_seed(0)
    torch.nn.init.normal_(base.score.weight, std=0.02)
    base.config.pad_token_id = words.pad_token_id
    trainer = RewardTrainer(base, args=RewardConfig(disable_dropout=True, **options), train_dataset=data["train"],
                            eval_dataset=data["held"], processing_class=words,
                            peft_config=LoraConfig(task_type="SEQ_CLS", modules_to_save=["score"], **lora))
trainer.train()
key = "eval_rewards/accuracies" if method == "dpo" else "eval_accuracy"
told = [(row["step"], row[key], row["eval_loss"]) for row in trainer.state.log_history if key in row]
print("@@" + json.dumps(told))
'''


def make_pairs(source, target):
    """Rows of one prompt and two answers, each a list of messages."""
    opened = gzip.open if source.endswith(".gz") else open
    with opened(source, "rt", encoding="utf-8") as file:
        rows = json.load(file) if source.endswith(".json") else [json.loads(line) for line in file]
    roles = {"human": "user", "gpt": "assistant", "system": "system"}
    with open(target, "w", encoding="utf-8") as out:
        for row in rows:
            if "conversations" in row:
                prompt = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
                sides = [[{"role": "assistant", "content": row[side]["value"]}] for side in ("chosen", "rejected")]
            else:
                turns = []
                for side in ("chosen", "rejected"):
                    messages = []
                    for part in row[side].split("\n\nHuman: ")[1:]:
                        said = part.split("\n\nAssistant:")
                        messages.append({"role": "user", "content": said[0].strip()})
                        messages += [{"role": "assistant", "content": text.strip()} for text in said[1:]]
                    turns.append(messages)
                prompt, sides = turns[0][:-1], [messages[-1:] for messages in turns]
                if turns[1][:-1] != prompt or any(side[0]["role"] != "assistant" for side in sides if side):
                    continue
            if sides[0] == sides[1] or not all(side and side[0]["content"] for side in sides):
                continue
            out.write(json.dumps({"prompt": prompt, "chosen": sides[0], "rejected": sides[1]}) + "\n")


def ours(options, folder):
    command = [options.apus, "rlhf", "--rlhf_type", options.method, "--model", options.model, "--dataset",
               folder / "train.jsonl", "--val_dataset", folder / "held.jsonl", "--torch_dtype", "float32",
               "--max_steps", options.steps, "--per_device_train_batch_size", options.batch,
               "--per_device_eval_batch_size", 4, "--gradient_accumulation_steps", 1, "--logging_steps", 1,
               "--learning_rate", options.rate, "--lora_rank", 8, "--lora_alpha", 32, "--save_strategy", "no",
               "--lora_dropout", 0, "--eval_on_start", "true", "--eval_strategy", "steps", "--eval_steps", options.every,
               "--warmup_ratio", 0, "--dataset_shuffle", "false", "--train_dataloader_shuffle", "false",
               "--lr_scheduler_type", "linear", "--output_dir", folder / "run", "--add_version", "false",
               "--disable_tqdm", "true", "--device", "cpu"]
    if options.method == "rm":
        command += ["--modules_to_save", "score"] if options.trains_score else []
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ended.returncode:
        sys.exit(ended.stderr[-3000:])
    rows = [json.loads(line) for line in (folder / "run" / "logging.jsonl").read_text().splitlines()]
    names = ("eval_rewards/accuracies", "eval_accuracy", "eval_acc")
    told = []
    for row in rows:
        key = next((name for name in names if name in row), None)
        if key:
            told.append((int(str(row["global_step/max_steps"]).split("/")[0]), row[key], row["eval_loss"]))
    return told


def theirs(options, folder):
    ended = subprocess.run(
        [options.peer, "-c", PEER, options.method, options.model, str(folder), str(options.steps), str(options.every),
         str(options.batch), str(options.rate)], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"})
    lines = [line for line in ended.stdout.splitlines() if line.startswith("@@")]
    if not lines:
        sys.exit(ended.stderr[-3000:])
    return json.loads(lines[0][2:])


def chart(curves, title, steps):
    """Accuracy against steps, a line for each program."""
    left, top, width, height = 60, 40, 560, 260
    values = [value for curve in curves.values() for _, value, _ in curve] + [0.5]
    low, high = min(values) - 0.03, max(values) + 0.03

    def x(step): return left + width * step / steps
    def y(value): return top + height * (high - value) / (high - low)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 30}" height="{top + height + 60}" '
           'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="22" font-weight="bold">{title}</text>']
    tick = round(low * 20) / 20
    while tick <= high:
        if tick >= low:
            out.append(f'<line x1="{left}" x2="{left + width}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>'
                       f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.2f}</text>')
        tick += 0.05
    for step, _, _ in next(iter(curves.values())):
        out.append(f'<text x="{x(step):.1f}" y="{top + height + 20}" text-anchor="middle">{step}</text>')
    out.append(f'<text x="{left + width / 2}" y="{top + height + 42}" text-anchor="middle">steps</text>')
    for number, ((name, curve), colour) in enumerate(zip(curves.items(), ("#c0392b", "#2c6fbb"))):
        points = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value, _ in curve)
        dash = ' stroke-dasharray="6 4"' if number else ""
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        out += [f'<circle cx="{x(step):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>' for step, value, _ in curve]
        out.append(f'<text x="{left + width - 80}" y="{top + height - 34 + 18 * number}" fill="{colour}">{name}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    if sys.argv[1:2] == ["pairs"]:
        return make_pairs(*sys.argv[2:4])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("apus", "model", "pairs"):
        parser.add_argument(name)
    parser.add_argument("--method", choices=["dpo", "rm"], required=True)
    parser.add_argument("--peer")
    parser.add_argument("--train", type=int, default=128)
    parser.add_argument("--held", type=int, default=200)
    parser.add_argument("--longest", type=int, default=700, help="letters of a row at most")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--evaluations", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--out")
    options = parser.parse_args()
    options.every, options.trains_score = options.steps // options.evaluations, False
    rows = [line for line in Path(options.pairs).read_text(encoding="utf-8").splitlines() if len(line) <= options.longest]
    random.Random(7).shuffle(rows)
    if len(rows) < options.train + options.held:
        sys.exit(f"{options.pairs}: {len(rows)} rows of at most {options.longest} letters, wanted {options.train + options.held}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.jsonl").write_text("\n".join(rows[:options.train]) + "\n")
        (folder / "held.jsonl").write_text("\n".join(rows[options.train:options.train + options.held]) + "\n")
        curves = {"Apus": ours(options, folder)}
        if options.peer:
            curves["TRL"] = theirs(options, folder)
    for name, curve in curves.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f} ({loss:.4f})" for _, value, loss in curve) + " |")
    if options.out:
        words = {"dpo": "DPO: held-out accuracy of the implicit reward", "rm": "Reward model: held-out accuracy"}
        Path(options.out).with_suffix(".svg").write_text(chart(curves, words[options.method], options.steps))


if __name__ == "__main__":
    main()
