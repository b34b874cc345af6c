"""Prints the medians of one `Benchmarks/run` and the ratio of Apus to each peer.

usage: ratios.py RESULTS      RESULTS holds the JSON objects that the programs printed, one after the other
"""

import json
import statistics
import sys
from pathlib import Path


def objects(text):
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        yield value
        position += len(text[position:]) - len(text[position:].lstrip())


def figures(entry):
    """Who ran, and tokens per second, peak GiB and seconds to the end of the first step."""
    if entry["peer"] == "apus":
        return f"Apus {entry['precision']}", (
            entry["tokens_per_second"], entry["peak_gib"], entry["seconds_to_first_step"])
    return f"Trainer + PEFT {entry['settings']['precision']}", (
        entry["tokensPerSecond"], entry["peakMemoryMiB"] / 1024, entry["secondsToFirstStep"])


def main():
    runs = {}
    for entry in objects(Path(sys.argv[1]).read_text()):
        name, values = figures(entry)
        runs.setdefault(name, []).append(values)
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in runs.items()}
    print(f"{'medians':28} {'runs':>4} {'tokens/s':>9} {'peak GiB':>9} {'first step s':>13}")
    for name, (rate, peak, first) in medians.items():
        print(f"{name:28} {len(runs[name]):4} {rate:9.1f} {peak:9.2f} {first:13.1f}")
    ours = next(name for name in medians if name.startswith("Apus"))
    for name, values in medians.items():
        if name != ours:
            rate, peak, first = (a / b for a, b in zip(medians[ours], values))
            print(f"{ours + ' : ' + name:40} {rate:.2f} x tokens/s, {peak:.2f} x peak, {first:.2f} x first step")


if __name__ == "__main__":
    main()
