"""Writes data sets of sentences and pairs as JSONL, rows {"text1", "text2", "label"} ("text2" only for pairs).

    sequence_data.py OUT [--fixtures FOLDER] [--sets stsb sst2 lcqmc] [--rows N] [--messages]

  stsb-train, stsb-dev      STS benchmark; label: the raw score, 0 to 5
  sst2-train, sst2-dev      sentiment of film reviews; label: 0 or 1
  lcqmc-train, lcqmc-dev    Chinese questions that mean the same or not; label: 0 or 1. The validation file, shuffled
                            with a fixed seed: the first 7,802 rows train, the last 1,000 are dev

With --rows N each file has at most N rows, drawn with a fixed seed, and is named NAME-N.jsonl. With --messages there is
NAME.messages.jsonl too, with the pair as one text in one message, as ms-swift reads rows for a decoder.
"""

import argparse
import json
import random
from pathlib import Path

SEED = 42
LCQMC_DEV = 1000


def lines(file):
    """The columns of each line; quotes are plain text."""
    with file.open(encoding="utf-8", newline="\n") as stream:
        return [line.rstrip("\n").split("\t") for line in stream if line.strip()]


def stsb(folder):
    for part in ("train", "dev"):
        rows = lines(folder / f"stsb/sts-{part}.csv")
        yield f"stsb-{part}", [
            {"text1": row[5].strip(), "text2": row[6].strip(), "label": float(row[4])} for row in rows]


def sst2(folder):
    for part in ("train", "dev"):
        yield f"sst2-{part}", [
            {"text1": row[0].strip(), "label": int(row[1])} for row in lines(folder / f"sst2/{part}.tsv")]


def lcqmc(folder):
    rows = [{"text1": row[0].strip(), "text2": row[1].strip(), "label": int(row[2])}
            for row in lines(folder / "lcqmc/LCQMC.valid.data")]
    random.Random(SEED).shuffle(rows)
    yield "lcqmc-train", rows[:-LCQMC_DEV]
    yield "lcqmc-dev", rows[-LCQMC_DEV:]


def one_text(row):
    """A pair as the text that Apus makes of it for a decoder."""
    return row["text1"] if "text2" not in row else f"Sentence 1: {row['text1']}\nSentence 2: {row['text2']}"


SETS = {"stsb": stsb, "sst2": sst2, "lcqmc": lcqmc}


def main():
    here = Path(__file__).resolve()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fixtures", type=Path, default=here.parents[3] / "shared/fixtures")
    parser.add_argument("--sets", choices=SETS, nargs="+", default=list(SETS))
    parser.add_argument("--rows", type=int, help="at most this many rows of each")
    parser.add_argument("--messages", action="store_true", help="write the rows as ms-swift reads them too")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        for file, rows in SETS[name](options.fixtures / "data"):
            if options.rows:
                chosen = random.Random(SEED).sample(range(len(rows)), min(options.rows, len(rows)))
                rows, file = [rows[i] for i in chosen], f"{file}-{options.rows}"
            path = options.out / f"{file}.jsonl"
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
            if options.messages:
                path.with_suffix(".messages.jsonl").write_text("".join(
                    json.dumps({"messages": [{"role": "user", "content": one_text(row)}], "label": row["label"]},
                               ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
            print(f"{path}: {len(rows)} rows, mean label {sum(row['label'] for row in rows) / len(rows):.4f}")


if __name__ == "__main__":
    main()
