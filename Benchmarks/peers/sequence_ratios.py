"""Prints the medians of one `Benchmarks/sequence` and the ratio of Apus to each peer.

usage: sequence_ratios.py RESULTS      RESULTS holds the JSON objects that the programs printed, one after the other
"""

import statistics
import sys
from pathlib import Path

from ratios import objects


def name(entry):
    if entry["peer"] in ("apus", "ms-swift"):
        return f"{entry['peer'].replace('apus', 'Apus')} {entry['settings']['name']}"
    return f"{entry['peer'].removeprefix('transformers ')} {entry['settings']['precision']}"


def main():
    runs = {}
    for entry in objects(Path(sys.argv[1]).read_text()):
        runs.setdefault(name(entry), []).append(
            (entry["samplesPerSecond"], entry["peakMemoryMiB"], entry["secondsToFirstStep"]))
    medians = {key: [statistics.median(column) for column in zip(*rows)] for key, rows in runs.items()}
    print(f"{'medians':32} {'runs':>4} {'samples/s':>9} {'peak MiB':>9} {'first step s':>13}")
    for key, (rate, peak, first) in medians.items():
        print(f"{key:32} {len(runs[key]):4} {rate:9.2f} {peak:9.0f} {first:13.1f}")
    ours = next((key for key in medians if key.startswith("Apus")), None)
    for key, values in medians.items():
        if ours and key != ours:
            rate, peak, first = (a / b for a, b in zip(medians[ours], values))
            print(f"{ours + ' : ' + key:48} {rate:.2f} x samples/s, {peak:.2f} x peak, {first:.2f} x first step")


if __name__ == "__main__":
    main()
