"""A model folder and rows that train within a second, made without any package.

The weights are those of the tests' Qwen2 fixture, whose vocabulary of 259 fits 256 bytes and three special tokens.
"""

import json
import pathlib
import shutil

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
WEIGHTS = REPOSITORY / "Tests/Fixtures/models/qwen2-tied-gqa"
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def byte_alphabet():
    """GPT-2's characters for the 256 bytes, in the order of the bytes."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def tokenizer():
    """A byte-level BPE without merges: one token for each byte, then the special tokens."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": 256 + i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for i, token in enumerate(SPECIAL_TOKENS)
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": {character: byte for byte, character in enumerate(byte_alphabet())},
            "merges": [],
        },
    }


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


def make_model(folder):
    """Writes a whole model folder and returns it."""
    folder.mkdir(parents=True)
    shutil.copy(WEIGHTS / "model.safetensors", folder)
    config = json.loads((WEIGHTS / "config.json").read_text())
    write_json(folder / "config.json", config | {"eos_token_id": 258, "bos_token_id": None})
    write_json(folder / "tokenizer.json", tokenizer())
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
        "chat_template": CHATML,
    })
    return folder


def make_rows(path, count=40, answers=None):
    """Writes conversations of different lengths, the longest well below the model's 64 positions.

    With `answers` a row has a rejected answer too ("rejected"), or says whether its one is good ("labelled").
    """
    with open(path, "w", encoding="utf-8") as file:
        for i in range(count):
            messages = [
                {"role": "user", "content": f"{i}+{i % 7}"},
                {"role": "assistant", "content": str(i + i % 7) + "!" * (i % 5)},
            ]
            row = {"messages": messages}
            if answers == "rejected":
                row["rejected_response"] = "?" * (1 + i % 4)
            elif answers == "labelled":
                row["label"] = i % 3 > 0
            file.write(json.dumps(row) + "\n")
    return path
