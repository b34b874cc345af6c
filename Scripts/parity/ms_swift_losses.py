#!/usr/bin/env python3
"""Trains a tiny model with ms-swift itself and with Apus, and compares the losses of 20 steps.

usage: ms_swift_losses.py --apus .build/release/apus --python PYTHON [--work DIR]

PYTHON has ms-swift 4.6. All weights train in float32 on the CPU, in the order of the file, without dropout: one turn, several
turns, every loss scale, the named templates' own suffixes, packed samples.

ms-swift packs only where flash attention is asked for, which needs a GPU. Here it is told that sdpa will do: transformers keeps
packed samples apart there too, by their positions. Which samples share a pack is each program's own choice, so that a step
takes all of them.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
from tiny_model import make_model  # noqa: E402

STEPS = 20
BAR = 2e-5
WORDS = "swift bird sleeps on the wing over red roofs and never lands in rain".split()


def text(seed, count):
    return " ".join(WORDS[(seed * 7 + n * n) % len(WORDS)] for n in range(count))


def rows(turns, count=STEPS * 2):
    made = []
    for n in range(count):
        messages = [{"role": "system", "content": text(n + 3, 3)}] if n % 3 == 0 else []
        for turn in range(1 + (n % turns)):
            messages.append({"role": "user", "content": text(n + turn, 1 + (n + turn) % 3)})
            messages.append({"role": "assistant", "content": text(n * 2 + turn, 1 + n % 4)})
        made.append({"messages": messages})
    return made


# Sixteen conversations of 2,231 tokens fill five packs of 500.
PACKED_ROWS = 16
PACKS = "5"
WITHOUT_FLASH = """
from swift.arguments.sft_args import SftArguments
def check(self):
    self.padding_free = self.padding_free or self.packing
SftArguments._check_padding_free = check
"""

CASES = {
    "one turn": (1, ["--loss_scale", "default"]),
    "several turns": (3, ["--loss_scale", "default"]),
    "last round": (3, ["--loss_scale", "last_round"]),
    "everything": (2, ["--loss_scale", "all"]),
    "accumulated": (2, ["--gradient_accumulation_steps", "2", "--per_device_train_batch_size", "1"]),
    "another template": (2, ["--template", "llama3"]),
    "packed": (3, ["--packing", "true", "--gradient_accumulation_steps", PACKS, "--per_device_train_batch_size", "1",
                   "--num_train_epochs", str(STEPS)]),
    "padding-free": (3, ["--padding_free", "true", "--gradient_accumulation_steps", "1", "--per_device_train_batch_size", "4"]),
    "another schedule": (1, ["--lr_scheduler_type", "linear", "--warmup_ratio", "0.1", "--weight_decay", "0.05"]),
}


def losses(folder):
    found = {}
    for path in pathlib.Path(folder).rglob("logging.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            step = row.get("global_step/max_steps")
            if "loss" in row and step:
                found[int(str(step).split("/")[0])] = row["loss"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apus", required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--work", type=pathlib.Path)
    options = parser.parse_args()
    work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="apus-live-"))
    model = make_model(work / "model")
    config = json.loads((work / "model/config.json").read_text())
    config["max_position_embeddings"] = 512
    (work / "model/config.json").write_text(json.dumps(config))
    environment = dict(os.environ, HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1", MODELSCOPE_OFFLINE="1")
    failures = 0
    for name, (turns, more) in CASES.items():
        data = work / f"{name}.jsonl".replace(" ", "-")
        count = PACKED_ROWS if name == "packed" else STEPS * 2
        data.write_text("".join(json.dumps(row) + "\n" for row in rows(turns, count)))
        common = ["--model", str(model), "--tuner_type", "full", "--dataset", str(data), "--torch_dtype", "float32", "--max_steps",
                  str(STEPS), "--learning_rate", "1e-3", "--logging_steps", "1", "--save_strategy", "no", "--dataset_shuffle",
                  "false", "--train_dataloader_shuffle", "false", "--seed", "42", "--split_dataset_ratio", "0", "--max_length", "500"]
        if "--template" not in more:
            more = more + ["--template", "qwen2_5"]
        if "--per_device_train_batch_size" not in more:
            more = more + ["--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "1"]
        found = {}
        for who, command in [
            ("ms-swift", [options.python, "-c", f"{WITHOUT_FLASH}from swift.pipelines import sft_main; sft_main()",
                          "--model_type", "qwen2", "--report_to", "none", "--use_cpu", "true",
                          "--dataloader_num_workers", "0", "--dataset_num_proc", "1"]),
            ("Apus", [options.apus, "sft", "--device", "cpu", "--disable_tqdm", "true"]),
        ]:
            output = work / f"{name}-{who}".replace(" ", "-")
            ended = subprocess.run(command + common + more + ["--output_dir", str(output)], capture_output=True, text=True,
                                   env=environment)
            found[who] = losses(output)
            if len(found[who]) != STEPS:
                print(f"{name}: {who} logged {len(found[who])} steps:\n{(ended.stdout + ended.stderr)[-2500:]}")
        common_steps = sorted(set(found["ms-swift"]) & set(found["Apus"]))
        worst = max((abs(found["ms-swift"][step] - found["Apus"][step]) for step in common_steps), default=float("inf"))
        good = worst <= BAR and len(common_steps) == STEPS
        failures += not good
        print(f"{'ok ' if good else 'NOT'} {name}: {len(common_steps)} steps, from {found['Apus'].get(1)} to {found['Apus'].get(STEPS)}, "
              f"largest difference {worst:.1e}", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
