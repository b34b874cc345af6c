#!/usr/bin/env python3
"""Gives a million damaged files to the readers, in one process each few thousand, and counts crashes and excesses.

usage: mutations.py [--count 1000000] [--seed 1] [--only NAME …] [--program PATH] [--work DIR]

Without --program it is built first: optimised, with the checks of a debug build and with the address sanitizer, in
.build/asan. An input is damaged by its number and the seed alone, so each can be made again: what crashed the program, took
more than a second of processor time, or took more than 1 GiB of memory is listed with its number, and the culprits lie in
the working folder. `MutationTests` gives the readers a few thousand on every test run.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CHUNK = 4000
SILENCE = 60
# Inputs of these take long, because a whole model is described for each.
SHARES = {"config.json": 0.2, "adapter_config.json": 0.2, "tokenizer_config.json": 0.5}
FRAME = re.compile(r"\b in \w+ at (.*\.swift:\d+)|(Fatal error:.*|AddressSanitizer: .*|runtime failure: .*)")

ENVIRONMENT = {
    **os.environ, "OMP_NUM_THREADS": "1", "SWIFT_BACKTRACE": "enable=yes,color=no,threads=crashed",
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=8192",
}


def built():
    command = ["swift", "build", "-c", "release", "--sanitize=address", "-Xswiftc", "-assert-config", "-Xswiftc", "Debug",
               "--scratch-path", ".build/asan", "--product", "Mutations"]
    environment = {"PKG_CONFIG_PATH": str(pathlib.Path.home() / ".cache/apus/pkgconfig")} | os.environ
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    return REPOSITORY / ".build/asan/release/Mutations"


class Run:
    """One subject: its counts, and what went wrong."""

    def __init__(self, program, name, seed, work):
        self.program, self.name, self.seed, self.work = program, name, seed, work
        self.accepted = self.refused = 0
        self.faults = []

    def give(self, first, end):
        """Inputs from `first` to before `end`, going on after each crash."""
        while first < end:
            first = self.give_some(first, end)

    def give_some(self, first, end):
        folder = self.work / self.name
        shutil.rmtree(folder, ignore_errors=True)
        number_file = pathlib.Path(f"{folder}.number")
        number_file.unlink(missing_ok=True)
        output = pathlib.Path(f"{folder}.log")
        with output.open("w") as log:
            process = subprocess.Popen(
                [str(self.program), str(REPOSITORY / "Tests/Fixtures"), str(self.seed), str(first), str(end), self.name,
                 str(folder)], stdout=log, stderr=subprocess.STDOUT, env=ENVIRONMENT)
            hangs = self.wait(process, number_file)
        text = output.read_text(errors="replace")
        done = re.search(r": (\d+) accepted, (\d+) refused", text)
        if done:
            self.accepted += int(done[1])
            self.refused += int(done[2])
            self.faults += [line.strip() for line in text.splitlines() if line.startswith("  ")]
            return end
        number = int(number_file.read_text() or first) if number_file.exists() else first
        reasons = [next(filter(None, match.groups())) for match in FRAME.finditer(text)]
        why = "runs on and on" if hangs else f"exit {process.returncode}, " + " < ".join(reasons[:4])
        self.faults.append(f"{self.name} {number}: {why}")
        culprits = self.work / "culprits" / f"{self.name}-{number}"
        shutil.copytree(folder, culprits, dirs_exist_ok=True)
        (culprits / "log.txt").write_text(text)
        self.refused += number - first
        return number + 1

    def wait(self, process, number_file):
        """Waits for the end; whether the program had to be stopped at an input without end."""
        last, since = None, time.monotonic()
        while process.poll() is None:
            time.sleep(0.2)
            number = number_file.read_bytes() if number_file.exists() else None
            if number != last:
                last, since = number, time.monotonic()
            elif time.monotonic() - since > SILENCE:
                process.kill()
                process.wait()
                return True
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs of all subjects together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="subjects by name")
    parser.add_argument("--program", type=pathlib.Path, help="a built Mutations program")
    parser.add_argument("--work", type=pathlib.Path, help="a folder to work in, best in memory")
    arguments = parser.parse_args()

    program = (arguments.program or built()).resolve()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    work = arguments.work or pathlib.Path(tempfile.mkdtemp(prefix="apus-mutations-", dir=memory))
    work.mkdir(parents=True, exist_ok=True)
    listing = subprocess.run(
        [str(program), str(REPOSITORY / "Tests/Fixtures")], capture_output=True, text=True, check=True,
        env=ENVIRONMENT).stdout
    names = [name for name in listing.split()[1:] if not arguments.only or name in arguments.only]
    if not names:
        sys.exit(f"--only: {listing}")
    whole = arguments.count / sum(SHARES.get(name, 1) for name in names)
    faults, total = [], 0
    for name in names:
        share = -int(-whole * SHARES.get(name, 1) // 1)
        started = time.monotonic()
        run = Run(program, name, arguments.seed, work)
        for first in range(0, share, CHUNK):
            run.give(first, min(share, first + CHUNK))
        faults += run.faults
        total += share
        print(f"{name:24}{run.accepted:9} read {run.refused:9} refused {len(run.faults):4} faults "
              f"{time.monotonic() - started:7.0f} s", flush=True)
        for fault in run.faults[:40]:
            print(f"    {fault}", flush=True)
    print(f"mutations: {total} inputs, {len(faults)} faults" + (f"; culprits in {work}/culprits" if faults else ""))
    if not faults and arguments.work is None:
        shutil.rmtree(work)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
