#!/usr/bin/env python3
"""Kills a download of 1 GB with SIGKILL again and again: each one goes on where the last ended, and the end is verified.

    Scripts/faults/hub_kills.py [--apus PATH] [--kills N] [--mebibytes N] [--hub hf|ms]

Serves a file of random bytes at a limited rate from hub_server.py. After each kill the bytes on the disk have to be the
beginning of the file, and the next request has to ask for what follows them. At the end the digest is compared, and where it
can be imported, huggingface_hub has to find the snapshot without a network.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import hub_server

# What Apus gathers before it writes: more than this is never fetched twice after a kill.
CHUNK = 1 << 18


def write_random(path, size):
    """Random bytes, quickly; the digest of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, block = hashlib.sha256(), os.urandom(1 << 20)
    with open(path, "wb") as file:
        for index in range(size >> 20):
            piece = index.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def partial_files(folder):
    return [path for path in pathlib.Path(folder).rglob("*.incomplete") if path.stat().st_size]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--apus", default=".build/debug/apus")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--hub", choices=["hf", "ms"], default="hf")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        run(options, randomness, pathlib.Path(scratch))


def run(options, randomness, scratch):
    size = options.mebibytes << 20
    model = scratch / "hub/models/owner/large"
    digest = write_random(model / "model.safetensors", size)
    (model / "config.json").write_text("{}")
    hub, address, _ = hub_server.start(scratch / "hub")
    # So fast that all kills come before the end, at moments spread over the whole file.
    seconds = 0.55
    hub.__dict__["rate"] = size / (options.kills * (seconds + 0.05))
    environment = os.environ | {
        "HF_ENDPOINT": address, "MODELSCOPE_ENDPOINT": address, "HF_HOME": str(scratch / "hf"),
        "MODELSCOPE_CACHE": str(scratch / "ms"),
    }
    environment.pop("HF_HUB_OFFLINE", None)
    command = [options.apus, "download", f"{options.hub}::owner/large"]
    cache = scratch / ("hf" if options.hub == "hf" else "ms")
    worst, kills, positions = 0, 0, []
    while kills < options.kills:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        before = sum(path.stat().st_size for path in partial_files(cache))
        deadline = time.time() + 30 + before / 1e8
        # The clock starts when bytes come: a download that goes on first reads what is there.
        while time.time() < deadline and process.poll() is None:
            if sum(path.stat().st_size for path in partial_files(cache)) > before:
                break
            time.sleep(0.01)
        time.sleep(randomness.uniform(0.1, 2 * seconds - 0.1))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        left = partial_files(cache)
        assert len(left) == 1, left
        have = left[0].stat().st_size
        positions.append(have)
        with open(left[0], "rb") as part, open(model / "model.safetensors", "rb") as whole:
            while chunk := part.read(1 << 20):
                assert chunk == whole.read(len(chunk)), "what is on the disk is not the beginning of the file"
    hub.__dict__.pop("rate")
    end = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert end.returncode == 0, end.stderr
    folder = pathlib.Path(end.stdout.strip().splitlines()[-1])
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == digest, "the digest differs"
    assert not list(cache.rglob("*.incomplete"))

    # What was asked for: each request begins where the bytes on the disk end.
    asked = [entry for entry in hub.log if entry["host"] == "cdn"]
    starts = [int(re.match(r"bytes=(\d+)-", entry["range"])[1]) if entry["range"] else 0 for entry in asked]
    assert starts[0] == 0 and starts[1:] == positions, (starts, positions)
    for (first, entry), have in zip(zip(starts, asked), positions):
        worst = max(worst, first + entry["sent"] - have)
    sent = sum(entry["sent"] for entry in asked)
    report = {
        "bytes": size, "kills": kills, "requests": len(asked), "sent": sent, "sent / bytes": round(sent / size, 4),
        "requests that began elsewhere than the disk ended": 0, "largest part sent twice": worst, "verified": True,
    }
    if options.hub == "hf":
        report["huggingface_hub finds it"] = found_by_python(environment, folder)
    print(json.dumps(report, indent=2))
    assert kills == options.kills, "the download ended before all kills"
    # Beside a chunk, what is sent twice lies in the buffers of both sockets.
    assert worst <= CHUNK + (8 << 20)


def found_by_python(environment, folder):
    script = (
        "import huggingface_hub, sys; "
        "assert huggingface_hub.snapshot_download('owner/large', local_files_only=True) == sys.argv[1]; "
        "print(huggingface_hub.__version__)")
    run = subprocess.run(
        [sys.executable, "-c", script, str(folder)], env=environment | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 else "not installed" if "ModuleNotFound" in run.stderr else run.stderr


if __name__ == "__main__":
    main()
