#!/usr/bin/env python3
"""Trains into small disks of many sizes and proves that a save which finds no room costs nothing that was there.

usage: full_disk.py --apus .build/debug/apus [--work DIR]

Needs the right to mount a tmpfs (root, or user namespaces: `unshare -rm`). On each disk the run either ends well, or says
which file found no room and how many bytes were free, and every checkpoint that lies there resumes: the newest one goes on
to the bits of an undisturbed run once there is room again. Between two saves that fail, the run goes on.
"""

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from tiny_model import make_model, make_rows

STEPS = 10
COMPARED = ["adapter_model.safetensors", "optimizer.safetensors"]


def command(apus, work, output, *more):
    return [str(word) for word in [
        apus, "sft", "--model", work / "model", "--dataset", work / "rows.jsonl", "--output_dir", output, "--add_version", "false",
        "--torch_dtype", "float32", "--max_steps", STEPS, "--save_steps", 2, "--logging_steps", 1, "--lora_rank", 4,
        "--report_to", "none", "--disable_tqdm", "true", *more]]


def run(words):
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300)
    return ended.returncode, ended.stdout + ended.stderr


def digests(folder):
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in COMPARED}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apus", required=True, type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path)
    options = parser.parse_args()
    if os.environ.get("APUS_IN_NAMESPACE") is None:
        os.environ["APUS_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])
    work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="apus-full-disk-"))
    apus = options.apus.resolve()
    make_model(work / "model")
    make_rows(work / "rows.jsonl")
    code, text = run(command(apus, work, work / "undisturbed"))
    if code != 0:
        sys.exit(f"the undisturbed run failed:\n{text}")
    wanted = digests(work / f"undisturbed/checkpoint-{STEPS}")
    size = sum(file.stat().st_size for file in (work / f"undisturbed/checkpoint-{STEPS}").rglob("*") if file.is_file())
    disk = work / "disk"
    disk.mkdir()
    failures, seen = [], {"whole": 0, "went on": 0, "ended": 0, "resumed": 0, "none saved": 0}
    for kilobytes in range(40, int(9 * size / 1024), max(8, size // 1024 // 3)):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)], check=True)
        output = disk / "run"
        code, text = run(command(apus, work, output))
        what = f"{kilobytes} KiB, exit code {code}"
        saved = sorted(output.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1])) if output.exists() else []
        seen["went on"] += "the run goes on" in text
        if code == 0:
            seen["whole"] += 1
            if digests(saved[-1]) != wanted:
                failures.append(f"{what}: ended well with other numbers")
        else:
            seen["ended"] += 1
            said = re.search(r"(/\S+): (cannot be written: )?No space left on device.*\d+ (B|bytes|KiB|MiB)", text)
            if not said or "free" not in text:
                failures.append(f"{what}: no word about the disk:\n{text[-600:]}")
            if saved:
                roomy = work / "roomy"
                shutil.rmtree(roomy, ignore_errors=True)
                shutil.copytree(output, roomy, symlinks=True)
                code, text = run(command(apus, work, roomy, "--resume_from_checkpoint", "last"))
                if code != 0 or digests(roomy / f"checkpoint-{STEPS}") != wanted:
                    failures.append(f"{what}: {saved[-1].name} does not resume to the same bits:\n{text[-600:]}")
                else:
                    seen["resumed"] += 1
            else:
                seen["none saved"] += 1
        left = [path.name for path in output.glob(".*")] if output.exists() else []
        if any(".staging" in name or name.endswith(".tmp") for name in left):
            failures.append(f"{what}: left behind {left}")
        subprocess.run(["umount", str(disk)], check=True)
    print(f"full_disk.py: {sum(seen[key] for key in ('whole', 'ended'))} disks: {seen}")
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
