"""Writes conversations of one to three turns as JSONL rows {"messages": […]}, put together from sentences of alpaca in
English and Chinese and of SQuAD's articles, with a fixed seed; no two are alike.

    chat_data.py OUT.jsonl --fixtures FOLDER --rows N [--bytes B]

With --bytes the N rows are written again and again until the file has B bytes, each time with another number in the first
question.
"""

import argparse
import json
import random
import re
from pathlib import Path

SEED = 42


def sentences(text):
    return [part for part in re.split(r"(?<=[.!?。！？])\s*|\n+", text) if len(part) > 8]


def sources(fixtures):
    """Questions and answers in sentences, of each language."""
    for name in ("alpaca_en_demo", "alpaca_zh_demo"):
        rows = json.loads((fixtures / f"data/llamafactory/{name}.json").read_text(encoding="utf-8"))
        questions = [f'{row["instruction"]}\n{row["input"]}'.strip() for row in rows]
        answers = [part for row in rows for part in sentences(row["output"])]
        if name == "alpaca_en_demo":
            squad = json.loads((fixtures / "data/squad-v1.1-dev/dev-v1.1.json").read_text(encoding="utf-8"))
            paragraphs = [paragraph for article in squad["data"] for paragraph in article["paragraphs"]]
            questions += [answer["question"] for paragraph in paragraphs for answer in paragraph["qas"]]
            answers += [part for paragraph in paragraphs for part in sentences(paragraph["context"])]
        yield questions, answers, "" if name == "alpaca_zh_demo" else " "


def conversation(draw, languages, number):
    questions, answers, space = languages[draw.random() < 0.3]
    messages = []
    for turn in range(draw.choice((1, 1, 2, 3))):
        question = draw.choice(questions)
        messages.append({"role": "user", "content": f"{number}. {question}" if turn == 0 else question})
        messages.append({
            "role": "assistant", "content": space.join(draw.choice(answers) for _ in range(draw.randint(2, 9)))})
    return messages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fixtures", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--bytes", type=int, default=0)
    options = parser.parse_args()
    draw, languages = random.Random(SEED), list(sources(options.fixtures))
    rows = (json.dumps({"messages": conversation(draw, languages, number)}, ensure_ascii=False) + "\n"
            for number in range(options.rows))
    begin = '{"messages": [{"role": "user", "content": "'
    with options.out.open("w", encoding="utf-8") as file:
        if not options.bytes:
            file.writelines(rows)
            return
        kept, written, repeats = [row.removeprefix(begin) for row in rows], 0, 0
        while written < options.bytes:
            part = "".join(f"{begin}{repeats}." + row for row in kept)
            file.write(part)
            written += len(part.encode())
            repeats += 1
    print(f"{repeats * options.rows} rows, {written} bytes")


if __name__ == "__main__":
    main()
