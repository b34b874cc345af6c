"""Medians of what `Benchmarks/data prepare` measured, and Apus beside ms-swift.

    data_ratios.py RESULT.jsonl
"""

import json
import statistics
import sys
from pathlib import Path

KEYS = ("readSeconds", "encodeSeconds", "packSeconds", "seconds", "processorSeconds", "rowsPerSecond",
        "peakMemoryMiB")


def main():
    groups = {}
    for line in Path(sys.argv[1]).read_text().splitlines():
        row = json.loads(line)
        groups.setdefault((row["name"], row["rows"]), []).append(row)
    rates = {}
    for (name, count), rows in sorted(groups.items()):
        medians = {key: statistics.median(row[key] for row in rows) for key in KEYS}
        rates.setdefault(name, {})[count] = medians["rowsPerSecond"]
        print(f"{name}, {count} rows, {len(rows)} runs:", *(f"{key} {value:.4g}" for key, value in medians.items()))
    (peer_rows, peer_rate), = rates["ms-swift"].items()
    for count, rate in rates["Apus"].items():
        print(f"rows/s, Apus with {count} to ms-swift with {peer_rows}: {rate / peer_rate:.1f}")
    same = ("rows", "samples", "tokens", "packs", "checksum")
    made = {json.dumps([row[key] for key in same]) for (_, count), rows in groups.items() if count == peer_rows
            for row in rows}
    if len(made) != 1:
        sys.exit(f"the two did not come to the same samples of {peer_rows} rows: {' and '.join(made)}")
    print(f"the same ids, targets and number of packs of {peer_rows} rows")


if __name__ == "__main__":
    main()
