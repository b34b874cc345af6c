"""Writes token ids and labels once, so that every peer trains on exactly the same rows in the same order.

From an Alpaca-style file (chat-formatted; only answers are supervised):
    make_data.py --tokenizer FOLDER --alpaca alpaca_en_demo.json --rows 200 --out data.json
From a text, cut into answers so that rows have lengths between two:
    make_data.py --tokenizer FOLDER --text input.txt --shortest 2048 --max-length 4096 --rows 8 --out data.json
Random ids of one length, of which the last part is supervised, or of lengths between two, supervised whole:
    make_data.py --fixed 256 --supervised 64 --rows 200 --out data.json
    make_data.py --fixed 512 --shortest 64 --rows 200 --out data.json
"""

import argparse
import json
import random
from pathlib import Path

IGNORED = -100


SYSTEM = "You are a helpful assistant."


def tokenizer_of(folder):
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def conversation(tokenizer, question, answer):
    """A row in ChatML, as Qwen's own template renders one question and its answer, and as messages."""
    prompt = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    head = tokenizer.encode(prompt, add_special_tokens=False).ids
    tail = tokenizer.encode(f"{answer}<|im_end|>\n", add_special_tokens=False).ids
    return {"ids": head + tail, "labels": [IGNORED] * len(head) + tail,
            "messages": [{"role": role, "content": content} for role, content in (
                ("system", SYSTEM), ("user", question), ("assistant", answer))]}


def alpaca_rows(tokenizer_folder, file):
    tokenizer = tokenizer_of(tokenizer_folder)
    for row in json.loads(file.read_text(encoding="utf-8")):
        question = row["instruction"] + ("\n" + row["input"] if row.get("input") else "")
        yield conversation(tokenizer, question, row["output"])


def text_rows(tokenizer_folder, file, longest, shortest):
    """Pieces of a text between lines, each as near to a drawn length as they allow."""
    tokenizer = tokenizer_of(tokenizer_folder)
    source = random.Random(42)
    piece, wanted = [], source.randint(shortest, longest)
    for line in file.read_text(encoding="utf-8").splitlines():
        row = conversation(tokenizer, "Go on.", "\n".join([*piece, line]).strip()) if len(piece) * 4 > wanted / 8 else None
        if row and len(row["ids"]) > wanted:
            yield conversation(tokenizer, "Go on.", "\n".join(piece).strip())
            piece, wanted = [], source.randint(shortest, longest)
        piece.append(line)


def fixed_rows(longest, shortest, supervised, vocabulary):
    source = random.Random(42)
    while True:
        length = longest
        if shortest:
            length = supervised = source.randint(shortest, longest)
        ids = [source.randrange(vocabulary) for _ in range(length)]
        yield {"ids": ids, "labels": [IGNORED] * (length - supervised) + ids[length - supervised :]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--tokenizer", type=Path, help="folder with a tokenizer.json of the Qwen family")
    parser.add_argument("--alpaca", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--max-length", type=int, default=512, help="longer rows are left out")
    parser.add_argument("--fixed", type=int, help="make random rows of this length")
    parser.add_argument("--shortest", type=int, help="the least length of random rows, whose ids are all supervised, or of pieces")
    parser.add_argument("--supervised", type=int, default=64, help="supervised ids of a random row")
    parser.add_argument("--vocabulary", type=int, default=151643, help="ids stay below this (taken modulo)")
    options = parser.parse_args()

    if options.fixed:
        source = fixed_rows(options.fixed, options.shortest, options.supervised, options.vocabulary)
    elif options.alpaca and options.tokenizer:
        source = alpaca_rows(options.tokenizer, options.alpaca)
    elif options.text and options.tokenizer:
        source = text_rows(options.tokenizer, options.text, options.max_length, options.shortest or options.max_length)
    else:
        parser.error("give --fixed, or --alpaca or --text with --tokenizer")
    rows = []
    for row in source:
        if len(row["ids"]) <= (options.fixed or options.max_length):
            largest = max(row["ids"])
            if largest >= options.vocabulary and not options.fixed:
                limit = options.vocabulary
                row |= {"ids": [i % limit for i in row["ids"]],
                        "labels": [i if i == IGNORED else i % limit for i in row["labels"]]}
            rows.append(row)
        if len(rows) == options.rows:
            break
    options.out.parent.mkdir(parents=True, exist_ok=True)
    messages = [row.pop("messages", None) for row in rows]
    options.out.write_text(json.dumps(rows))
    if messages[0]:
        options.out.with_suffix(".messages.jsonl").write_text(
            "".join(json.dumps({"messages": row}, ensure_ascii=False) + "\n" for row in messages), encoding="utf-8")
    lengths = sorted(len(row["ids"]) for row in rows)
    supervised = sum(label != IGNORED for row in rows for label in row["labels"][1:])
    print(f"{options.out}: {len(rows)} rows, lengths {lengths[0]} to {lengths[-1]}, median "
          f"{lengths[len(lengths) // 2]}, {sum(lengths)} tokens, {supervised / sum(lengths):.1%} supervised")


if __name__ == "__main__":
    main()
