"""Apus and ms-swift beside hf_peft.py and hf_sequence.py: runs `… sft …` and prints one JSON object with the same figures.

    swift_sft.py --name "LoRA bf16" --batch 16 [--warm 1] -- apus sft --model … --logging_steps 1 …
    swift_sft.py --peer ms-swift --name "LoRA bf16" --batch 16 -- swift sft --model … --logging_steps 1 …

The steps' seconds come from the rows of the run's logging.jsonl (train_speed(s/it) is the mean since training began),
peak memory from the kernel's account of the ended process and those it started, and the first step ends when its row is there. The run's
folder is made and removed here: leave out --output_dir. What the program prints goes to stderr.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEP, SPEED = "global_step/max_steps", "train_speed(s/it)"


def rows(folder):
    """The rows of single training steps in the log so far; the last line may still be incomplete."""
    text = "".join(file.read_text(encoding="utf-8") for file in folder.rglob("logging.jsonl"))
    for line in text.split("\n")[:-1]:
        row = json.loads(line)
        if STEP in row and "loss" in row:
            yield int(row[STEP].split("/")[0]), row


def run(command, folder):
    """The exit status, the peak MiB, and the seconds to the first row of the log and to the end."""
    started, first = time.perf_counter(), None
    child = subprocess.Popen([*command, "--output_dir", str(folder)], stdout=sys.stderr)
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if first is None and any(True for _ in rows(folder)):
            first = time.perf_counter() - started
        if pid:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024, first, time.perf_counter() - started
        time.sleep(0.01 if first is None else 0.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=["apus", "ms-swift"], default="apus")
    parser.add_argument("--name", required=True, help="what the table calls it")
    parser.add_argument("--batch", type=int, required=True, help="samples of one step")
    parser.add_argument("--warm", type=int, default=1, help="first steps that medians and rates leave out")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        status, peak, first, seconds = run(options.command, Path(scratch) / "run")
        log = dict(rows(Path(scratch)))
    if status:
        sys.exit(f"{options.command[0]} ended with {status}")
    if sorted(log) != list(range(1, len(log) + 1)) or len(log) < 2:
        sys.exit(f"the log has rows of the steps {sorted(log)}; wanted each step: --logging_steps 1")
    elapsed = [0.0] + [log[step][SPEED] * step for step in sorted(log)]
    steps = [b - a for a, b in zip(elapsed, elapsed[1:])]
    warm = min(options.warm, len(steps) - 1)
    json.dump({
        "peer": options.peer,
        "settings": {"name": options.name, "batch": options.batch, "warm": warm, "command": options.command},
        "steps": len(steps),
        "stepsTimed": len(steps) - warm,
        "stepSecondsMedian": statistics.median(steps[warm:]),
        "samplesPerSecond": options.batch * (len(steps) - warm) / sum(steps[warm:]),
        "secondsToFirstStep": first,
        "peakMemoryMiB": peak,
        "seconds": seconds,
        "stepSeconds": steps,
        "losses": [log[step]["loss"] for step in sorted(log)],
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
