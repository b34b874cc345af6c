"""GRPO on the CPU: how much of a reward is learned, and how fast steps are beside TRL.

usage: Benchmarks/policy.py learn APUS MODEL [--steps 60] [--rate 2e-4] [--picture FILE]
       Benchmarks/policy.py speed APUS MODEL --peer PYTHON [--steps 3] [--answers 16] [--tokens 64] [--precision bf16] [--turns 1]

`learn` asks sums of two digits ("What is 3 + 4?"). A program rewards each answer: 1 where the last number in it is the right
one, and 0.5 times the share of its letters that are digits (the wanted form is a number and nothing else). It prints the mean reward of the first and the last rounds, that of held-out
questions before and after, and draws the course. `speed` samples rounds of answers of a fixed length to the same questions
in both programs (none ends early) and learns from them once, LoRA r = 8 on all linear layers, β 0; the first step is left
out of medians. PYTHON is the interpreter of an environment with TRL (Scripts/parity/environment). Let nothing else run.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REWARD = r'''#!/usr/bin/env python3
import json, re, sys
for line in sys.stdin:
    row = json.loads(line)
    text = row["completion"].strip()
    digits = sum(letter.isdigit() for letter in text) / max(1, len(text))
    numbers = re.findall("[0-9]+", text)
    print(0.5 * digits + (1 if numbers and numbers[-1] == row["row"]["solution"] else 0), flush=True)
'''

PEER = r'''
import json, sys, time
import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer
model, rows, steps, answers, tokens, precision = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6]
torch.set_num_threads(2)
class Clock(TrainerCallback):
    times = []
    def on_step_begin(self, *_, **__): self.start = time.perf_counter()
    def on_step_end(self, *_, **__): self.times.append(time.perf_counter() - self.start)
words = AutoTokenizer.from_pretrained(model)
base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
trainer = GRPOTrainer(
    model=base, processing_class=words, train_dataset=load_dataset("json", data_files=rows, split="train"),
    reward_funcs=lambda completions, **_: [float(len(set(str(c)))) for c in completions],
    peft_config=LoraConfig(r=8, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"),
    args=GRPOConfig(output_dir="unused", use_cpu=True, bf16=False, max_steps=steps, per_device_train_batch_size=answers,
                    gradient_accumulation_steps=1, logging_steps=1, learning_rate=1e-5, save_strategy="no", beta=0.0,
                    report_to="none", disable_tqdm=True, num_generations=8, max_completion_length=tokens,
                    loss_type="grpo", temperature=0.9, shuffle_dataset=False, gradient_checkpointing=False,
                    generation_kwargs={"min_new_tokens": tokens}), callbacks=[Clock()])
trainer.train()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print("@@" + json.dumps({"seconds": Clock.times, "mib": int(peak) / 1024, "length": [
    x["completions/mean_length"] for x in trainer.state.log_history if "completions/mean_length" in x]}))
'''

LENGTH = r'''#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    print(float(len(set(json.loads(line)["completion"]))), flush=True)
'''


def program(folder, text):
    path = Path(folder) / "score.py"
    path.write_text(text)
    path.chmod(0o755)
    return path


def run(apus, words, folder):
    command = [apus, "rlhf", "--rlhf_type", "grpo", "--output_dir", folder, "--add_version", "false", "--disable_tqdm",
               "true", "--device", "cpu", "--logging_steps", 1, *words]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ended.returncode:
        sys.exit(ended.stdout[-1000:] + ended.stderr)
    rows = [json.loads(line) for line in (Path(folder) / "logging.jsonl").read_text().splitlines()]
    peak = re.search(r"memory peak: ([0-9.]+)\s*([MG])iB", ended.stdout + ended.stderr)
    return rows, float(peak[1]) * (1024 if peak[2] == "G" else 1)


def learn(options):
    draw = random.Random(7)
    pairs = [(a, b) for a in range(10) for b in range(10)]
    draw.shuffle(pairs)

    def row(a, b):
        return json.dumps({"messages": [{"role": "user", "content": f"What is {a} + {b}?"}], "solution": str(a + b)}) + "\n"

    with tempfile.TemporaryDirectory() as folder:
        train, held = Path(folder) / "train.jsonl", Path(folder) / "held.jsonl"
        train.write_text("".join(row(*pair) for pair in pairs[:80]))
        held.write_text("".join(row(*pair) for pair in pairs[80:]))
        started = time.time()
        rows, peak = run(options.apus, [
            "--model", options.model, "--dataset", train, "--val_dataset", held, "--torch_dtype", options.precision,
            "--reward_funcs", program(folder, REWARD), "--per_device_train_batch_size", 32, "--num_generations", 8,
            "--num_generations_eval", 4, "--per_device_eval_batch_size", 40, "--max_completion_length", 8, "--system",
            "Answer with the number alone.", "--max_steps", options.steps, "--learning_rate", options.rate, "--beta",
            "0.01", "--eval_on_start", "true", "--eval_strategy", "steps", "--eval_steps", options.steps, "--save_strategy", "no", "--temperature", 1,
        ], Path(folder) / "run")
        minutes = (time.time() - started) / 60
        picture = Path(folder) / "run" / "images" / "train_reward.png"
        if options.picture and picture.exists():
            Path(options.picture).write_bytes(picture.read_bytes())
    rewards = [row["reward"] for row in rows if "reward" in row]
    exact = [row["eval_reward"] for row in rows if "eval_reward" in row]
    print(f"{len(rewards)} steps of 32 answers in {minutes:.1f} minutes, {peak:.0f} MiB")
    print(f"mean reward: {statistics.mean(rewards[:5]):.3f} in the first five rounds, "
          f"{statistics.mean(rewards[-5:]):.3f} in the last five")
    print("held-out questions: " + ", ".join(f"{value:.3f}" for value in exact))
    print("course: " + " ".join(f"{value:.2f}" for value in rewards))


def speed(options):
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        rows.write_text("".join(json.dumps({"prompt": f"Tell me of the number {i} and of its neighbours, please: " * 2})
                                + "\n" for i in range(64)))
        ratios = []
        for turn in range(options.turns):
            made, peak = run(options.apus, [
                "--model", options.model, "--dataset", rows, "--torch_dtype",
                "bfloat16" if options.precision == "bf16" else "float32", "--reward_funcs", program(folder, LENGTH),
                "--per_device_train_batch_size", options.answers, "--num_generations", 8, "--max_completion_length",
                options.tokens, "--max_steps", options.steps, "--beta", 0, "--lora_rank", 8, "--lora_alpha", 32,
                "--save_strategy", "no", "--learning_rate", "1e-5", "--use_chat_template", "false", "--dataset_shuffle",
                "false", "--train_dataloader_shuffle", "false"], Path(folder) / f"run-{turn}")
            made = [row for row in made if "loss" in row]
            sums = [row["train_speed(s/it)"] * (i + 1) for i, row in enumerate(made)]
            mine = statistics.median([b - a for a, b in zip([0, *sums], sums)][1:])
            lengths = [row["completions/mean_length"] for row in made]
            print(f"Apus: {mine:.1f} s a step, {peak:.0f} MiB, {statistics.mean(lengths):.1f} tokens an answer")
            ended = subprocess.run(
                [options.peer, "-c", PEER, options.model, rows, str(options.steps), str(options.answers),
                 str(options.tokens), options.precision], capture_output=True, text=True, cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "2"})
            lines = [line for line in ended.stdout.splitlines() if line.startswith("@@")]
            if not lines:
                sys.exit(ended.stderr[-2000:])
            peer = json.loads(lines[0][2:])
            other = statistics.median(peer["seconds"][1:])
            print(f"TRL:  {other:.1f} s a step, {peer['mib']:.0f} MiB, {statistics.mean(peer['length']):.1f} tokens an answer")
            print(f"ratios: {other / mine:.2f} times as fast, {peak / peer['mib']:.2f} of the memory", flush=True)
            ratios.append((other / mine, peak / peer["mib"]))
        times, shares = zip(*ratios)
        print(f"medians: {statistics.median(times):.2f} times as fast ({min(times):.2f} to {max(times):.2f}), "
              f"{statistics.median(shares):.2f} of the memory")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["learn", "speed"])
    parser.add_argument("apus")
    parser.add_argument("model")
    parser.add_argument("--peer")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--answers", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rate", default="2e-4")
    parser.add_argument("--precision", default=None)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--picture")
    options = parser.parse_args()
    if options.what == "learn":
        options.steps = options.steps or 60
        options.precision = options.precision or "float32"
        return learn(options)
    options.steps = options.steps or 3
    options.precision = options.precision or "bf16"
    return speed(options)


if __name__ == "__main__":
    main()
