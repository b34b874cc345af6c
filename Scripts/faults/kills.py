#!/usr/bin/env python3
"""Stops training runs at random moments and proves that the resumed ones end in the same bits.

usage: kills.py --apus .build/debug/apus [--kills 30] [--terms 30] [--full 4] [--method sft|dpo|orpo|simpo|cpo|kto|rm|grpo|ppo|gkd] [--seed N] [--work DIR]

An undisturbed run sets the bar. Each trial starts the same command, stops it with SIGKILL or SIGTERM, and goes on with
`--resume_from_checkpoint last` until the run ends; some are stopped twice, some are stopped while a checkpoint is being
written, and in some a byte of the newest checkpoint is changed before resuming. Then weights, optimizer and logged
values must be those of the undisturbed run, bit for bit.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from tiny_model import make_model, make_rows

STEPS = 40
SECONDS_TO_SAVE_AND_LEAVE = 10
SECONDS_TO_FINISH = 300
# Which answers the rows of a method hold beside the good one.
ANSWERS = {
    "dpo": "rejected", "orpo": "rejected", "simpo": "rejected", "cpo": "rejected", "rm": "rejected", "kto": "labelled"}
REPEATED_VALUES = ["loss", "grad_norm", "learning_rate", "token_acc", "epoch", "rewards/margins", "rewards/chosen", "reward", "kl"]


@dataclasses.dataclass
class Stop:
    """A signal at a moment, or at the first checkpoint that is being written after it."""

    signal: signal.Signals
    after: float
    waits_for_saving: bool = False


@dataclasses.dataclass
class Ended:
    code: int
    text: str
    seconds: float
    seconds_to_leave: float = 0.0

    @property
    def has_trained(self):
        return "{'loss'" in self.text


class Trainer:
    """One way to train, and what it leaves when nobody disturbs it."""

    def __init__(self, apus, work, tuner, method="sft"):
        self.apus = apus
        self.method = method
        self.work = work / tuner
        self.work.mkdir()
        self.model = make_model(self.work / "model")
        self.rows = make_rows(self.work / "rows.jsonl", answers=ANSWERS.get(method))
        self.tuner = tuner
        weights = "adapter_model.safetensors" if tuner == "lora" else "model.safetensors"
        self.compared = [weights, "optimizer.safetensors"]
        output = self.work / "undisturbed"
        ended = self.run(output)
        if ended.code != 0:
            sys.exit(f"the undisturbed run failed:\n{ended.text}")
        self.duration = ended.seconds
        folder = newest_run(output)
        self.digests = self.digests_of(folder)
        self.log = log_values(folder)

    def command(self, output, resumes):
        words = [
            self.apus, *self.method_words(), "--model", self.model, "--dataset", self.rows, "--output_dir", output,
            "--tuner_type", self.tuner, "--torch_dtype", "float32", "--max_steps", STEPS, "--save_steps", 2,
            "--gradient_accumulation_steps", 2, "--logging_steps", 1, "--save_total_limit", 2, "--device", "cpu",
        ]
        if self.tuner == "lora" and self.method == "sft":
            words += ["--lora_dropout", 0.1]
        if resumes:
            words += ["--resume_from_checkpoint", "last"]
        return [str(word) for word in words]

    def method_words(self):
        """Rounds of grpo serve four steps, so that runs are stopped between their uses too."""
        if self.method == "sft":
            return ["sft", "--per_device_train_batch_size", 2]
        if self.method in ANSWERS:
            return ["rlhf", "--rlhf_type", self.method, "--per_device_train_batch_size", 2]
        if self.method == "gkd":
            return [
                "rlhf", "--rlhf_type", "gkd", "--per_device_train_batch_size", 2, "--teacher_model", self.model,
                "--lmbda", 0.5, "--max_completion_length", 6]
        rewarded = [
            "rlhf", "--rlhf_type", self.method, "--per_device_train_batch_size", 4, "--max_completion_length", 6,
            "--reward_funcs", "soft_overlong", "--soft_max_length", 7, "--soft_cache_length", 6]
        if self.method == "ppo":
            return rewarded + ["--num_ppo_epochs", 3]
        return rewarded + ["--num_generations", 4, "--steps_per_generation", 4, "--num_iterations", 2]

    def run(self, output, stop=None, resumes=False):
        """Runs the command to its end, or until `stop`."""
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with tempfile.TemporaryFile() as text:
            started = time.monotonic()
            process = subprocess.Popen(
                self.command(output, resumes), stdin=subprocess.DEVNULL, stdout=text, stderr=subprocess.STDOUT,
                env=environment)
            signalled = send(stop, process, output, started) if stop else None
            limit = SECONDS_TO_FINISH if signalled is None else SECONDS_TO_SAVE_AND_LEAVE
            try:
                code = process.wait(timeout=limit)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = None
            ended = time.monotonic()
            text.seek(0)
            return Ended(
                code, text.read().decode("utf-8", "replace"), ended - started,
                ended - signalled if signalled is not None else 0.0)

    def digests_of(self, folder):
        return {name: sha256(folder / f"checkpoint-{STEPS}" / name) for name in self.compared}


def send(stop, process, output, started):
    """Waits for the moment and sends the signal; returns when it was sent, or None if the process had ended."""
    while process.poll() is None:
        now = time.monotonic()
        if now - started >= stop.after and (not stop.waits_for_saving or is_saving(output)):
            process.send_signal(stop.signal)
            return time.monotonic()
        time.sleep(0.0001 if stop.waits_for_saving else min(0.001, max(0.0, stop.after - (now - started))))
    return None


def is_saving(output):
    return any(output.glob("v*/.tmp-checkpoint-*"))


def newest_run(output):
    runs = sorted(output.glob("v*-*"), key=lambda path: int(path.name[1:].split("-")[0]))
    return runs[-1] if runs else None


def checkpoints(output):
    """All checkpoints below the output folder, oldest run and step first."""
    return sorted(
        output.glob("v*-*/checkpoint-*"),
        key=lambda path: (int(path.parent.name[1:].split("-")[0]), int(path.name.split("-")[1])))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else f"{path.name} is missing"


def log_rows(folder):
    with open(folder / "logging.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def log_values(folder):
    """(step, the values that must repeat) of each logged step, in the order of the file."""
    return [
        (int(row["global_step/max_steps"].split("/")[0]), [row.get(key) for key in REPEATED_VALUES])
        for row in log_rows(folder) if "global_step/max_steps" in row
    ]


def damage(checkpoint, chance):
    """Changes one byte of one file of a checkpoint; returns which."""
    file = chance.choice(sorted(path for path in checkpoint.iterdir() if path.stat().st_size > 0))
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 0x10
    file.write_bytes(data)
    return file


def manifest_problems(checkpoint):
    """What is wrong with a finished checkpoint by its own manifest."""
    manifest = json.loads((checkpoint / "MANIFEST.json").read_text())
    return [
        f"{checkpoint.name}/{name} differs from its manifest" for name, entry in manifest["files"].items()
        if entry["sha256"] != sha256(checkpoint / name)
    ]


def trial(trainer, number, kind, chance):
    """Stops and resumes one run; returns (problems, whether it resumed, a line that says what happened)."""
    output = trainer.work / f"run-{kind.name}-{number}"
    stops = [Stop(kind, chance.uniform(0, trainer.duration), kind == signal.SIGKILL and number % 3 == 1)]
    if number % 3 == 2:
        stops.append(Stop(kind, chance.uniform(0, trainer.duration)))
    damages = kind == signal.SIGKILL and number % 5 == 4

    problems, told, has_resumed, resumes, damaged = [], [], False, False, None
    for attempt in range(8):
        stop = stops.pop(0) if stops else None
        ended = trainer.run(output, stop, resumes)
        if damaged is not None:
            if "checkpoint refused" not in ended.text and ended.has_trained:
                problems.append(f"{damaged.relative_to(output)} was changed, and nobody said so")
            damaged = None
        resumed = re.search(r"resuming from \S*(checkpoint-\d+)", ended.text)
        has_resumed |= resumed is not None
        if resumed:
            told.append(f"from {resumed[1]}")
        if ended.code == 0:
            told.append("ended")
            if resumes or stop is None:
                break
        elif stop is None:
            problems.append(f"exit code {ended.code} without a signal:\n{ended.text[-1500:]}")
            break
        else:
            problems += problems_of_leaving(ended, stop, output)
            moment = " while saving" if stop.waits_for_saving else ""
            told.append(f"{stop.signal.name} at {stop.after:.2f} s{moment}")
        if damages and checkpoints(output):
            damages = False
            damaged = damage(checkpoints(output)[-1], chance)
            told.append(f"damaged {damaged.parent.name}/{damaged.name}")
        resumes = True
    problems += problems_of_result(trainer, output)
    if not problems:
        shutil.rmtree(output)
    return problems, has_resumed, ", ".join(told)


def problems_of_leaving(ended, stop, output):
    if stop.signal == signal.SIGKILL:
        return [] if ended.code == -signal.SIGKILL else [f"exit code {ended.code} after SIGKILL"]
    if ended.code is None:
        return [f"SIGTERM: still there after {SECONDS_TO_SAVE_AND_LEAVE} s"]
    if ended.code == -signal.SIGTERM:
        return ["SIGTERM ended the training without saving"] if ended.has_trained else []
    if ended.code != 128 + signal.SIGTERM:
        return [f"exit code {ended.code} after SIGTERM:\n{ended.text[-1500:]}"]
    step = re.search(r"stopped by SIGTERM after step (\d+)", ended.text)
    if step is None:
        return ["SIGTERM: nothing says after which step the run stopped"]
    last = checkpoints(output)[-1:]
    if not last or last[0].name != f"checkpoint-{step[1]}":
        return [f"SIGTERM after step {step[1]} left no checkpoint-{step[1]}"]
    return manifest_problems(last[0])


def problems_of_result(trainer, output):
    folder = newest_run(output)
    if folder is None:
        return ["there is no run folder"]
    problems = [
        f"{name} differs from the undisturbed run's" for name, digest in trainer.digests_of(folder).items()
        if digest != trainer.digests[name]
    ]
    left = [path.name for path in folder.iterdir() if path.name.startswith((".tmp-", ".old-"))]
    if left:
        problems.append(f"left over in the finished run: {', '.join(left)}")
    kept = [path for path in checkpoints(output) if path.parent == folder]
    if len(kept) != 2:
        problems.append(f"--save_total_limit 2, but there are {', '.join(path.name for path in kept)}")
    for path in kept:
        problems += manifest_problems(path)
    if log_values(folder) != trainer.log:
        steps = [step for step, _ in log_values(folder)]
        what = "has other steps: " + str(steps) if steps != [s for s, _ in trainer.log] else "has other values"
        problems.append(f"logging.jsonl {what}")
    summaries = [index for index, row in enumerate(log_rows(folder)) if "log_history" in row]
    if summaries != [STEPS]:
        problems.append(f"logging.jsonl: summary rows at {summaries}, expected one at the end")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apus", required=True, help="the program")
    parser.add_argument("--kills", type=int, default=30, help="trials with SIGKILL")
    parser.add_argument("--terms", type=int, default=30, help="trials with SIGTERM")
    parser.add_argument("--full", type=int, default=4, help="trials with --tuner_type full, half of them SIGTERM")
    parser.add_argument("--method", choices=["sft", *ANSWERS, "grpo", "ppo", "gkd"], default="sft", help="what the runs do")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--work", help="a new folder to work in; failed runs stay there")
    arguments = parser.parse_args()

    chance = random.Random(arguments.seed)
    work = pathlib.Path(arguments.work or tempfile.mkdtemp(prefix="apus-kills-")).resolve()
    work.mkdir(parents=True, exist_ok=True)
    apus = str(pathlib.Path(arguments.apus).resolve())
    kill, term = signal.SIGKILL, signal.SIGTERM
    plans = [
        ("lora", [kill] * arguments.kills + [term] * arguments.terms),
        ("full", [kill] * (arguments.full - arguments.full // 2) + [term] * (arguments.full // 2)),
    ]
    equal, resumed_count, total = 0, 0, 0
    for tuner, kinds in plans:
        if not kinds:
            continue
        trainer = Trainer(apus, work, tuner, arguments.method)
        print(f"{tuner}: undisturbed {trainer.duration:.2f} s for {STEPS} steps", flush=True)
        for number, kind in enumerate(kinds):
            problems, has_resumed, told = trial(trainer, number, kind, chance)
            total += 1
            equal += not problems
            resumed_count += has_resumed
            print(f"  {'FAILED' if problems else 'equal '} {told}", flush=True)
            for problem in problems:
                print(f"         {problem}", flush=True)
    print(
        f"kills: {equal}/{total} bitwise equal ({resumed_count} resumed from a checkpoint, "
        f"{total - resumed_count} before the first)")
    if equal == total:
        if arguments.work is None:
            shutil.rmtree(work)
        return 0
    print(f"the failed runs are in {work}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
