"""Steps of DPO with LoRA on the CPU: samples a second, memory and first losses, Apus beside TRL.

usage: Benchmarks/preferences.py APUS MODEL PAIRS [--peer PYTHON] [--steps 8] [--batch 4] [--precision bf16] [--turns 1]
       [--max_memory 2GiB]

MODEL is a Hugging Face folder, PAIRS a .jsonl of rows with "prompt", "chosen" and "rejected"; both programs read them in their
order, LoRA r = 8 on all linear layers, β 0.1, no dropout, the reference being the model without its adapter. PYTHON is the
interpreter of an environment with TRL (Scripts/parity/environment prints one with PEFT). The first step is left out of
medians. Let nothing else run.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = r'''
import json, sys, time
import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer
model, pairs, steps, batch, precision = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
torch.set_num_threads(2)
class Clock(TrainerCallback):
    times = []
    def on_step_begin(self, *_, **__): self.start = time.perf_counter()
    def on_step_end(self, *_, **__): self.times.append(time.perf_counter() - self.start)
words = AutoTokenizer.from_pretrained(model)
base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
trainer = DPOTrainer(
    model=base, processing_class=words, train_dataset=load_dataset("json", data_files=pairs, split="train"),
    peft_config=LoraConfig(r=8, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"),
    args=DPOConfig(output_dir="unused", use_cpu=True, bf16=False, max_steps=steps, per_device_train_batch_size=batch,
                   gradient_accumulation_steps=1, logging_steps=1, learning_rate=1e-4, save_strategy="no",
                   report_to="none", disable_tqdm=True, train_sampling_strategy="sequential",
                   gradient_checkpointing=False, max_length=None), callbacks=[Clock()])
trainer.train()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print("@@" + json.dumps({"seconds": Clock.times, "mib": int(peak) / 1024,
                         "loss": [x["loss"] for x in trainer.state.log_history if "loss" in x]}))
'''


def ours(options, folder):
    command = [options.apus, "rlhf", "--rlhf_type", "dpo", "--model", options.model, "--dataset", options.pairs,
               "--torch_dtype", "bfloat16" if options.precision == "bf16" else "float32", "--max_steps", options.steps,
               "--per_device_train_batch_size", options.batch, "--gradient_accumulation_steps", 1, "--logging_steps", 1,
               "--learning_rate", "1e-4", "--lora_rank", 8, "--lora_alpha", 32, "--save_strategy", "no",
               "--dataset_shuffle", "false", "--train_dataloader_shuffle", "false", "--lr_scheduler_type", "linear",
               "--output_dir", folder, "--add_version", "false", "--disable_tqdm", "true", "--device", "cpu"]
    if options.max_memory:
        command += ["--max_memory", options.max_memory]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ended.returncode:
        sys.exit(ended.stderr)
    rows = [json.loads(line) for line in (Path(folder) / "logging.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "loss" in row]
    # What is logged is the mean of all steps so far.
    sums = [row["train_speed(s/it)"] * (i + 1) for i, row in enumerate(rows)]
    peak = re.search(r"memory peak: ([0-9.]+)\s*([MG])iB", ended.stdout + ended.stderr)
    return {"seconds": [b - a for a, b in zip([0, *sums], sums)],
            "mib": float(peak[1]) * (1024 if peak[2] == "G" else 1),
            "loss": [row["loss"] for row in rows]}


def theirs(options):
    ended = subprocess.run(
        [options.peer, "-c", PEER, options.model, options.pairs, str(options.steps), str(options.batch),
         options.precision], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
    lines = [line for line in ended.stdout.splitlines() if line.startswith("@@")]
    if not lines:
        sys.exit(ended.stderr[-2000:])
    return json.loads(lines[0][2:])


def show(name, result, batch):
    median = statistics.median(result["seconds"][1:])
    losses = ", ".join(f"{loss:.4f}" for loss in result["loss"][:3])
    print(f"{name}: {batch / median:.3f} samples/s ({median:.2f} s a step), {result['mib']:.0f} MiB, losses {losses} …")
    return median, result["mib"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("apus", "model", "pairs"):
        parser.add_argument(name)
    parser.add_argument("--peer")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--max_memory", help="what Apus may take")
    options = parser.parse_args()
    ratios = []
    for _ in range(options.turns):
        with tempfile.TemporaryDirectory() as folder:
            mine = show("Apus", ours(options, folder), options.batch)
        if options.peer:
            other = show("TRL ", theirs(options), options.batch)
            ratios.append((other[0] / mine[0], mine[1] / other[1]))
            print(f"ratios: {ratios[-1][0]:.2f} times as fast, {ratios[-1][1]:.2f} of the memory", flush=True)
    if ratios:
        times, shares = zip(*ratios)
        print(f"medians: {statistics.median(times):.2f} times as fast ({min(times):.2f} to {max(times):.2f}), "
              f"{statistics.median(shares):.2f} of the memory")


if __name__ == "__main__":
    main()
