#!/usr/bin/env python3
"""Gives the program wrong inputs and checks that each is answered by one message a person can act on.

usage: wrong_inputs.py --apus .build/debug/apus [--work DIR] [--only WORD] [--whole] [--page FILE]

For each case: the exit code is not 0; standard error ends in exactly one paragraph that starts with `error:`, names
what is wrong and says a way out, and holds no stack trace; it takes less than 20 seconds; and nothing is left on the
disk but what a run under way had learned. The table shows the beginning of each message, or all of it with --whole; --page writes a page of what was typed,
what the program says and its exit code (Scripts/wrong-inputs makes Docs/wrong-inputs.md that way).
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import time

from tiny_model import REPOSITORY, make_model, make_rows, tokenizer, write_json
from wrong_case import Case
import wrong_rewards
import wrong_words

SECONDS = 20
CRASH = re.compile(r"Fatal error|Stack dump|Current stack trace|\*\*\* Signal|Swift/.*\.swift:\d+")
# A way out is an order, a question, or what was wanted instead.
WAY_OUT = re.compile(
    r"\b(give|try|use|keep|rename|unset|fetch|write|say|lists the options|close|take|leave|download|save|convert|replace|remove|put|raise|lower|choose|free|merge|train|check"
    r"|fix|correct|add|set|start|write|wanted|wants|expected|must be|known are|there are|there is|not a multiple of"
    r"|not a folder|looked from|did you mean|can be targets|are supported|apus has|is it|is this)\b", re.IGNORECASE)
SHOWN = 110


class Material:
    """The good things that the wrong ones are made of."""

    def __init__(self, apus, work):
        self.apus = apus
        self.work = work
        self.model = make_model(work / "model")
        self.rows = make_rows(work / "rows.jsonl")
        self.run = work / "trained"
        self.environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "HOME": str(work / "home"), "HF_HOME": str(work / "home/hf"),
            "MODELSCOPE_CACHE": str(work / "home/modelscope"),
        }
        for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]:
            self.environment.pop(name, None)
        self.make(*self.training(), "--output_dir", self.run, "--add_version", "false", "--max_steps", 4, "--save_steps", 2)
        self.checkpoint = self.run / "checkpoint-4"

    def start(self, words, input="", environment={}):
        return subprocess.run(
            [self.apus, *map(str, words)], input=input, capture_output=True, encoding="utf-8", errors="replace",
            env=self.environment | environment, timeout=3 * SECONDS, cwd=self.work)

    def make(self, *words):
        """Runs what must not fail."""
        ended = self.start(words)
        if ended.returncode != 0:
            sys.exit(f"the run that makes the material failed:\n{ended.stdout}{ended.stderr}")

    def training(self, model=None, rows=None):
        """A command that trains, but for what a case spoils."""
        return [
            "sft", "--model", model or self.model, "--dataset", rows or self.rows, "--torch_dtype", "float32",
            "--device", "cpu", "--max_steps", 2]

    def sft(self, *more, model=None, rows=None):
        return self.training(model, rows) + ["--output_dir", self.work / "output", *more]

    def infer(self, *more, rows=None):
        return [
            "infer", "--model", self.model, "--val_dataset", rows or self.rows, "--max_new_tokens", 2, "--device",
            "cpu", *more]

    def resume(self, checkpoint, *more):
        return self.training() + [
            "--output_dir", self.run, "--add_version", "false", "--max_steps", 4, "--resume_from_checkpoint",
            checkpoint, *more]

    def text(self, name, content):
        (self.work / name).write_text(content, encoding="utf-8")
        return self.work / name

    def lines(self, name, rows):
        return self.text(name, "".join(json.dumps(row) + "\n" for row in rows))

    def spoiled_model(self, name, spoil):
        """A copy of the model folder after `spoil(folder)`."""
        folder = self.work / name
        shutil.copytree(self.model, folder)
        spoil(folder)
        return folder

    def spoiled_checkpoint(self, name, spoil):
        folder = self.work / name / "checkpoint-4"
        shutil.copytree(self.checkpoint, folder)
        spoil(folder)
        return folder


def change_json(file, **values):
    write_json(file, json.loads(file.read_text()) | values)


def truncate(file, share=0.5):
    file.write_bytes(file.read_bytes()[:int(file.stat().st_size * share)])


def with_header(file, change):
    """Rewrites a safetensors file after `change(header)`."""
    data = file.read_bytes()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    change(header)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length:])


def lie_about_shape(file):
    def change(header):
        header["model.norm.weight"]["shape"] = [1 << 40]
    with_header(file, change)


def lie_about_place(file):
    def change(header):
        header["model.norm.weight"]["data_offsets"] = [1 << 50, (1 << 50) + 192]
    with_header(file, change)


def claim_long_header(file):
    file.write_bytes(struct.pack("<Q", 1 << 62) + file.read_bytes()[8:])


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def deepen(header):
    """Moves the tensors of layer 2 to a layer that the model has not."""
    for name in [name for name in header if ".layers.2." in name]:
        header[name.replace(".layers.2.", ".layers.7.")] = header.pop(name)


def pickle_only(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04")


def larger_tokenizer(folder):
    large = tokenizer()
    large["model"]["vocab"] |= {f"more{id}": id for id in range(256, 260)}
    write_json(folder / "tokenizer.json", large)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123456789\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>401</title></head></html>\n"


def becomes(name, content):
    """Replaces a file of a folder by other bytes."""
    return lambda folder: (folder / name).write_bytes(content)


def renamed(*pairs):
    def change(folder):
        for old, new in zip(pairs[::2], pairs[1::2]):
            (folder / new).parent.mkdir(exist_ok=True)
            (folder / old).rename(folder / new)
    return change


def rename_tensors(file, **changes):
    """Writes tensors under other names: each key with its double underscores as dots."""
    def change(header):
        for old, new in changes.items():
            header[new] = header.pop(old.replace("__", "."))
    with_header(file, change)


def two_weights(folder):
    shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    (folder / "model.safetensors").rename(folder / "first.safetensors")


def one_shard(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")


def add_biases(file):
    """Gives every o_proj a bias, whose bytes are those of another vector."""
    def change(header):
        end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        for layer in range(2):
            begin = end + 4 * layer
            header[f"model.layers.{layer}.self_attn.o_proj.bias"] = {
                "dtype": "F32", "shape": [1], "data_offsets": [begin, begin + 4]}
    with_header(file, change)
    file.write_bytes(file.read_bytes() + bytes(8))


def conversation(*turns):
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def cases_of_arguments(m):
    return [
        Case("unknown command", ["stf"], ["stf", "sft"]),
        Case("unsupported command", ["deploy", "--model", m.model], ["deploy"]),
        Case("unknown flag", m.sft("--learning_ratte", "1e-4"), ["--learning_ratte", "--learning_rate"]),
        Case("unsupported flag of ms-swift", m.sft("--mrl_dims", "64"), ["--mrl_dims"]),
        Case("unsupported value of ms-swift", m.sft("--tuner_type", "lora_llm"), ["--tuner_type", "lora_llm", "lora"]),
        Case("value outside the choices", m.sft("--lr_scheduler_type", "cosin"), ["--lr_scheduler_type", "cosine"]),
        Case("negative learning rate", m.sft("--learning_rate", "-1e-4"), ["--learning_rate", "-1e-4"]),
        Case("learning rate that is no number", m.sft("--learning_rate", "nan"), ["--learning_rate", "nan"]),
        Case("number beyond all integers", m.sft("--max_length", "9" * 30), ["--max_length", "999"]),
        Case("memory of no size", m.sft("--max_memory", "much"), ["--max_memory", "much", "6GB"]),
        Case("memory for no plan", m.sft("--max_memory", "100MB"), ["--max_memory 100MB", "at least", "1 sample at once"]),
        Case("LoRA rank 0", m.sft("--lora_rank", 0), ["--lora_rank", "0"]),
        Case("LoRA rank beyond memory", m.sft("--lora_rank", 1 << 60), ["--lora_rank"]),
        Case("dropout 1.5", m.sft("--lora_dropout", 1.5), ["--lora_dropout", "1.5"]),
        Case("batch size 0", m.sft("--per_device_train_batch_size", 0), ["--per_device_train_batch_size"]),
        Case("split ratio 2", m.sft("--split_dataset_ratio", 2), ["--split_dataset_ratio", "2"]),
        Case("flag without its value", m.sft("--max_length"), ["--max_length"]),
        Case("value too many", m.sft("--max_length", 32, 64), ["--max_length", "64"]),
        Case("--columns that is not JSON", m.sft("--columns", "{text: query"), ["--columns", "{text: query"]),
        Case("--columns names a missing column", m.sft("--columns", '{"textt": "query"}'), ["--columns", "textt"]),
        Case("misspelt target module", m.sft("--target_modules", "q_porj"), ["q_porj", "q_proj"]),
        Case("invalid --target_regex", m.sft("--target_regex", "layers.(q_proj"), ["--target_regex", "layers.(q_proj"]),
        Case("--target_regex without a match", m.sft("--target_regex", "nothing"), ["--target_regex", "nothing"]),
        Case("warmup given twice over", m.sft("--warmup_ratio", 0.1, "--warmup_steps", 2),
             ["--warmup_ratio", "--warmup_steps"]),
        Case("device that is not there", m.sft("--device", "mps"), ["mps"]),
        Case("no --model", ["sft", "--dataset", m.rows], ["--model"]),
        Case("no --dataset", ["sft", "--model", m.model], ["--dataset"]),
        Case("configuration file that is not YAML", ["sft", m.text("bad.yaml", "model: [a\nb: }\n")], ["bad.yaml"]),
        Case("configuration file that is missing", ["sft", m.work / "none.yaml"], ["none.yaml"]),
    ]


def cases_of_data(m):
    good = json.loads(m.rows.read_text().splitlines()[0])
    broken = m.text("broken.jsonl", json.dumps(good) + "\n" + '{"messages": [\n' + json.dumps(good) + "\n")
    masked = m.lines("masked.jsonl", [conversation(("user", "a"))])
    long = m.lines("long.jsonl", [conversation(("user", "a" * 200), ("assistant", "b"))])
    return [
        Case("missing data file", m.sft(rows=m.work / "none.jsonl"), ["none.jsonl"]),
        Case("broken JSON line", m.sft(rows=broken), ["broken.jsonl:2"]),
        Case("file that is not text", m.sft(rows=m.spoiled_model("bytes", lambda f: (f / "r.jsonl").write_bytes(
            bytes(range(256)) * 8)) / "r.jsonl"), ["r.jsonl"]),
        Case("wrong column", m.sft(rows=m.lines("column.jsonl", [{"textt": "hello"}])), ["column.jsonl", "textt"]),
        Case("wrong column, --strict",
             m.sft("--strict", "true", rows=m.lines("strict.jsonl", [good, {"textt": "hello"}])), ["strict.jsonl:2"]),
        Case("unknown role", m.sft(rows=m.lines("role.jsonl", [conversation(("user", "a"), ("robot", "b"))])),
             ["role.jsonl", "robot"]),
        Case("empty data set", m.sft(rows=m.text("empty.jsonl", "")), ["empty.jsonl"]),
        Case("no assistant turn", m.sft(rows=masked), ["masked.jsonl", "assistant"]),
        Case("all rows longer than max_length", m.sft("--max_length", 16, rows=long), ["max_length"]),
        Case("all rows longer than the model", m.sft(rows=long), ["64"]),
        Case("data of a kind that is not read", m.sft(rows=m.text("data.docx", "x")), ["data.docx"]),
        Case("sample count that is no number", m.sft(rows=f"{m.rows}#many"), ["many"]),
        Case("answers to missing data", m.infer(rows=m.work / "none.jsonl"), ["none.jsonl"]),
    ]


def cases_of_labels(m):
    def rows(name, *labels):
        return m.lines(f"{name}.jsonl", [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)])

    def case(name, file, culprits, *more):
        return Case(name, m.sft("--task_type", "seq_cls", *more, rows=file), culprits)

    single = ("--problem_type", "single_label_classification", "--num_labels", 3)
    return [
        case("text as the label of a regression", rows("word", 0.5, "high"), ["word.jsonl", "number"],
             "--num_labels", 1),
        case("class id out of range", rows("range", 0, 1, 3), ["range.jsonl:3", "0 to 2"], *single),
        case("negative class id", rows("minus", 0, -1), ["minus.jsonl:2", "-1"], *single),
        case("class id with a fraction", rows("half", 0, 1.5), ["half.jsonl:2", "1.5"], *single),
        case("label that is not a number", m.text("nan.csv", "text,label\nhello,0.5\nthere,nan\n"), ["nan.csv:3"],
             "--num_labels", 1),
        case("label that is missing", m.lines("bare.jsonl", [{"text": "a", "label": 1}, {"text": "b"}]),
             ["bare.jsonl:2", "label"], "--num_labels", 2),
        case("table under names that are not known", m.text(
            "names.csv", "comment,sentiment\ngood,positive\nbad,negative\nfine,positive\n"),
             ["names.csv:1", "sentiment"], "--num_labels", 2),
        case("list of another length", rows("list", [0.5, 1.5], [0.5]), ["list.jsonl:2", "2"],
             "--problem_type", "regression", "--num_labels", 2),
        case("more class names than --num_labels", rows("names", "a", "b", "c"), ["--num_labels"], "--num_labels", 2),
        case("labels of several kinds", rows("kinds", "a", 1), ["kinds.jsonl"]),
        case("one class only", rows("one", 0, 0), ["--num_labels"], "--problem_type", "single_label_classification"),
        case("metric of another problem", rows("metric", 0.5, 1.5), ["accuracy", "spearman"], "--num_labels", 1,
             "--metric_for_best_model", "accuracy"),
        case("metric that nobody knows", rows("metrics", 0.5, 1.5), ["spaerman", "spearman"], "--num_labels", 1,
             "--metric_for_best_model", "spaerman"),
        case("pair format without a place", rows("pair", 0.5, 1.5), ["--pair_format", "{text2}"], "--num_labels", 1,
             "--pair_format", "{text1}"),
        case("masked words for a decoder", rows("masks", 0.5), ["next token"], "--task_type", "mlm"),
        Case("prediction by a model without a head",
             ["infer", "--model", m.model, "--val_dataset", rows("head", 0), "--task_type", "seq_cls"],
             ["score.weight"]),
        Case("task that is not there", ["infer", "--model", m.model, "--task", "fill-mast", "x"],
             ["--task", "fill-mast", "fill-mask"]),
    ]


def cases_of_preferences(m):
    def pair(i, **columns):
        return {"prompt": f"q{i}", "chosen": f"a{i}", "rejected": f"b{i}"} | columns

    def case(name, file, culprits, *more, method="dpo"):
        words = ["rlhf", "--rlhf_type", method, *m.sft(*more, rows=file)[1:]]
        return Case(name, words, culprits)

    good = m.lines("pairs.jsonl", [pair(i) for i in range(8)])
    bare = m.lines("unpaired.jsonl", [{"prompt": "q", "chosen": "a"}] * 4)
    same = m.lines("same.jsonl", [pair(0), pair(1, rejected="a1"), pair(2)])
    other = m.spoiled_model("other-vocabulary", lambda f: change_json(f / "config.json", vocab_size=200))
    spelled = m.spoiled_model("other-tokens", lambda f: (f / "tokenizer.json").write_text(
        (f / "tokenizer.json").read_text().replace("<|im_start|>", "<|begin|>")))
    learned = m.work / "learned"
    going_on = ["--output_dir", learned, "--add_version", "false", "--max_steps", 4, "--save_steps", 2]
    m.make("rlhf", "--rlhf_type", "dpo", *m.training(rows=good)[1:], *going_on)

    def resumed(name, culprits, *more, method="dpo"):
        words = ["rlhf", "--rlhf_type", method, *m.training(rows=good)[1:], *going_on, *more]
        return Case(name, words + ["--resume_from_checkpoint", "last"], culprits)

    return [
        resumed("resuming with another --rlhf_type", ["rlhf_type", "dpo", "cpo"], method="cpo"),
        resumed("resuming with another --beta", ["beta", "0.1 there, 0.3 here"], "--beta", 0.3),
        resumed("resuming with another reference", ["ref_model"], "--ref_model", m.model),
        case("pairs without a rejected answer", bare, ["unpaired.jsonl", "no rejected answer"]),
        case("pairs that are all equal", m.lines("alike.jsonl", [pair(i, rejected=f"a{i}") for i in range(4)]),
             ["alike.jsonl", "no row can be used", "the same"]),
        case("equal answers, --strict", same, ["same.jsonl:2", "the same"], "--strict", "true"),
        case("pairs that are plain conversations", m.rows, ["no rejected answer"]),
        case("KTO without labels", good, ["no label"], method="kto"),
        case("KTO with one label", m.lines("praise.jsonl", [
            {"prompt": f"q{i}", "completion": "a", "label": True} for i in range(4)]), ["--rlhf_type kto", "true"],
            method="kto"),
        case("KTO with one sample a step", good, ["one sample"], "--per_device_train_batch_size", 1,
             "--gradient_accumulation_steps", 1, method="kto"),
        case("reward model with two labels", good, ["--num_labels"], "--num_labels", 2, method="rm"),
        case("reference of another tokenizer", good, ["--ref_model", "other-tokens", "<|begin|>"], "--ref_model", spelled),
        case("reference whose tokens have no row", good, ["--ref_model", "one of them alone"], "--ref_model", other),
        case("reference that is not there", good, ["nowhere"], "--ref_model", m.work / "nowhere"),
        case("reference adapter of another model", good, ["deep/checkpoint-4", "does not fit", "layers.2"], "--ref_adapters",
             m.spoiled_checkpoint("deep", lambda f: with_header(f / "adapter_model.safetensors", deepen))),
        case("reference adapter that is missing", good, ["none"], "--ref_adapters", m.work / "none"),
        case("reference where there is none", good, ["--ref_model", "orpo"], "--ref_model", m.model, method="orpo"),
        case("loss of another method", good, ["--loss_type", "exo_pair"], "--loss_type", "exo_pair", method="cpo"),
        case("loss that is named twice", good, ["--loss_type", "twice"], "--loss_type", "sigmoid", "sigmoid"),
        case("negative weight of a loss", good, ["--loss_weights", "-1"], "--loss_type", "sigmoid", "sft", "--loss_weights",
             1, -1),
        case("weights of a mix that are too few", good, ["--loss_weights"], "--loss_type", "sigmoid", "sft",
             "--loss_weights", 1),
        case("distillation without a teacher", m.rows, ["--teacher_model", "teacher_prompt"], method="gkd"),
        case("teacher of another tokenizer", m.rows, ["--teacher_model", "other-tokens", "token"],
             "--teacher_model", spelled, method="gkd"),
        case("teacher of another model type", m.rows, ["--teacher_model_type", "llama", "qwen2"], "--teacher_model", m.model,
             "--teacher_model_type", "llama", method="gkd"),
        case("teacher adapter that is missing", m.rows, ["none"], "--teacher_adapters", m.work / "none", method="gkd"),
        case("share beyond all steps", m.rows, ["--lmbda", "2"], "--lmbda", 2, method="gkd"),
        case("beta between no two divergences", m.rows, ["--beta", "1.5"], "--beta", 1.5, method="gkd"),
        case("words of a teacher that are no text", m.lines("words.jsonl", [
            {"query": "q", "response": "a", "teacher_prompt": 5}] * 4), ["words.jsonl", "teacher_prompt"], method="gkd"),
        case("margin that is no number", m.lines("margin.jsonl", [pair(i, margin="much") for i in range(4)]),
             ["margin.jsonl", "margin"], method="rm"),
    ]


def cases_of_models(m):
    gguf = REPOSITORY / "Tests/Fixtures/gguf/tiny-qwen2.gguf"
    cut_gguf, wrong_gguf = m.work / "cut.gguf", m.work / "magic.gguf"
    cut_gguf.write_bytes(gguf.read_bytes()[:20_000])
    short_gguf = m.work / "short.gguf"
    short_gguf.write_bytes(gguf.read_bytes()[:-4_000])
    wrong_gguf.write_bytes(b"GGML" + gguf.read_bytes()[4:])
    spoil, safetensors = m.spoiled_model, "model.safetensors"
    return [
        Case("model that is not there", m.sft(model=m.work / "none"), [str(m.work / "none")]),
        Case("hub id that is not in the caches", m.sft(model="someone/some-model"),
             ["someone/some-model", str(m.work / "home/hf")]),
        Case("no config.json", m.sft(model=spoil("no-config", lambda f: (f / "config.json").unlink())),
             ["no-config", "config.json"]),
        Case("config.json that is not JSON",
             m.sft(model=spoil("text-config", lambda f: (f / "config.json").write_text("{"))), ["config.json"]),
        Case("config.json of lists",
             m.sft(model=spoil("list-config", lambda f: (f / "config.json").write_text("[1]"))), ["config.json"]),
        Case("unknown model_type", m.sft(model=spoil(
            "unknown-type", lambda f: change_json(f / "config.json", model_type="gemma9"))), ["gemma9"]),
        Case("hidden size that heads do not divide", m.sft(model=spoil(
            "bad-heads", lambda f: change_json(f / "config.json", num_attention_heads=7))), ["num_attention_heads"]),
        Case("hidden size beyond memory", m.sft(model=spoil(
            "huge", lambda f: change_json(f / "config.json", hidden_size=1 << 61))), ["hidden_size"]),
        Case("negative vocab_size", m.sft(model=spoil(
            "negative", lambda f: change_json(f / "config.json", vocab_size=-1))), ["vocab_size"]),
        Case("model_type that is another's", m.sft("--model_type", "llama"), ["llama", "qwen2"]),
        Case("truncated safetensors", m.sft(model=spoil("cut", lambda f: truncate(f / safetensors))),
             [f"cut/{safetensors}"]),
        Case("empty safetensors", m.sft(model=spoil("no-bytes", lambda f: truncate(f / safetensors, 0))),
             [f"no-bytes/{safetensors}"]),
        Case("safetensors header lies about a shape",
             m.sft(model=spoil("shape", lambda f: lie_about_shape(f / safetensors))), ["model.norm.weight"]),
        Case("safetensors header lies about a place",
             m.sft(model=spoil("place", lambda f: lie_about_place(f / safetensors))), ["model.norm.weight"]),
        Case("safetensors header of 4 EiB",
             m.sft(model=spoil("header", lambda f: claim_long_header(f / safetensors))), [f"header/{safetensors}"]),
        Case("weights with a tensor missing", m.sft(model=spoil("missing", lambda f: with_header(
            f / safetensors, lambda h: h.update({"other": h.pop("model.norm.weight")})))), ["model.norm.weight"]),
        Case("weights of another size", m.sft(model=spoil(
            "size", lambda f: change_json(f / "config.json", intermediate_size=80))), ["mlp", "80", "88"]),
        Case("no weights", m.sft(model=spoil("no-weights", lambda f: (f / safetensors).unlink())), ["no-weights"]),
        Case("weights as a pickle", m.sft(model=spoil("pickle", pickle_only)), ["pytorch_model.bin"]),
        Case("GGUF that ends in its header", m.sft(model=cut_gguf), ["cut.gguf"]),
        Case("GGUF that ends in its tensors", m.sft(model=short_gguf), ["short.gguf"]),
        Case("GGUF with a wrong magic", m.sft(model=wrong_gguf), ["magic.gguf", "GGUF"]),
        Case("file that is no model", m.sft(model=m.rows), ["rows.jsonl"]),
        *cases_of_downloads(m),
        Case("no tokenizer", m.sft(model=spoil("no-tokens", lambda f: (f / "tokenizer.json").unlink())),
             ["no-tokens", "tokenizer"]),
        Case("tokenizer.json that is not JSON",
             m.sft(model=spoil("text-tokens", lambda f: truncate(f / "tokenizer.json"))), ["tokenizer.json"]),
        Case("tokenizer larger than the model", m.sft(model=spoil("large-tokens", larger_tokenizer)), ["260", "259"]),
        Case("template that raises", m.sft(model=spoil("raises", lambda f: change_json(
            f / "tokenizer_config.json", chat_template="{{ raise_exception('roles must alternate') }}"))),
             ["roles must alternate"]),
        Case("template that cannot be read", m.sft(model=spoil("unclosed", lambda f: change_json(
            f / "tokenizer_config.json", chat_template="{% for m in messages %}x"))), ["template"]),
        Case("template without an end", m.sft(model=spoil("endless", lambda f: change_json(
            f / "tokenizer_config.json", chat_template="{% for a in range(100000) %}{% for b in range(100000) %}x"
            "{% endfor %}{% endfor %}"))), ["template"]),
        Case("parameters of a missing model", ["params", "--model", m.work / "none"], [str(m.work / "none")]),
        Case("parameters of a misspelt target", ["params", "--model", m.model, "--target_modules", "k_porj"],
             ["k_porj", "k_proj"]),
    ]


def cases_of_downloads(m):
    """Files that are not what their name says, weights of other kinds, and parts without the others."""
    gguf = (REPOSITORY / "Tests/Fixtures/gguf/tiny-qwen2.gguf").read_bytes()
    safetensors, bin = "model.safetensors", "pytorch_model.bin"

    def case(name, folder, change, culprits):
        return Case(name, m.sft(model=m.spoiled_model(folder, change)), culprits)

    def pickled(content):
        def change(folder):
            (folder / safetensors).unlink()
            (folder / bin).write_bytes(content)
        return change

    def several_gguf(folder):
        for name in [safetensors, "config.json"]:
            (folder / name).unlink()
        for name in ["a-Q4_K_M.gguf", "b-Q8_0.gguf"]:
            (folder / name).write_bytes(gguf)

    def half_split(folder):
        (folder / safetensors).unlink()
        split = b"".join(
            struct.pack("<Q", len(key)) + key + struct.pack("<IH", 2, value)
            for key, value in [(b"split.no", 0), (b"split.count", 2)])
        pairs, = struct.unpack("<Q", gguf[16:24])
        (folder / "m-00001-of-00002.gguf").write_bytes(gguf[:16] + struct.pack("<Q", pairs + 2) + split + bytes(0) + gguf[24:])

    quantised = [
        ("gptq", {"quant_method": "gptq", "bits": 4}, "GPTQ"), ("awq", {"quant_method": "awq", "bits": 4}, "AWQ"),
        ("bnb", {"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ("hqq", {"quant_method": "hqq"}, "HQQ"), ("ct", {"quant_method": "compressed-tensors"}, "compressed-tensors"),
    ]
    return [
        *(case(f"git-lfs pointer as {name}", f"pointer-{name}", becomes(name, POINTER), [name, "git-lfs pointer", "git lfs pull"])
          for name in [safetensors, "config.json", "tokenizer.json", "tokenizer_config.json"]),
        case("git-lfs pointer as pickle", "pointer-bin", pickled(POINTER), [bin, "git-lfs pointer"]),
        Case("git-lfs pointer as GGUF", m.sft(model=m.text("pointer.gguf", POINTER.decode())),
             ["pointer.gguf", "git-lfs pointer"]),
        case("web page as safetensors", "page", becomes(safetensors, PAGE), [safetensors, "web page"]),
        case("web page as config.json", "page-config", becomes("config.json", PAGE), ["config.json", "web page"]),
        case("web page as pickle", "page-bin", pickled(PAGE), [bin, "web page"]),
        case("AppleDouble as safetensors", "apple", becomes(safetensors, b"\0\5\x16\7" + bytes(4092)),
             [safetensors, "macOS"]),
        case("only AppleDouble", "apple-only", renamed(safetensors, "._model.safetensors"), ["apple-only", "no weights"]),
        case("zeros as safetensors", "zeros", becomes(safetensors, bytes(4096)), [safetensors, "zeros"]),
        case("GGUF as safetensors", "gguf-inside", becomes(safetensors, gguf), [safetensors, "GGUF"]),
        case("download that has not ended", "unfinished", renamed(safetensors, "model.safetensors.incomplete"),
             ["unfinished", "incomplete"]),
        case("shard without the others", "shard", one_shard, ["shard", "1 of the 3 parts"]),
        case("two files of weights", "two", two_weights, ["first.safetensors", "other.safetensors"]),
        case("weights of TensorFlow", "tensorflow", renamed(safetensors, "tf_model.h5"), ["tf_model.h5", "TensorFlow"]),
        case("weights under Mistral's names", "consolidated", lambda f: rename_tensors(
            f / safetensors, model__embed_tokens__weight="tok_embeddings.weight"), ["tok_embeddings.weight", "Mistral"]),
        case("adapters that were not merged", "unmerged", lambda f: rename_tensors(
            f / safetensors, model__layers__0__self_attn__q_proj__weight="model.layers.0.self_attn.q_proj.base_layer.weight"),
             ["base_layer", "merge_and_unload"]),
        case("biases that config.json does not know", "biases", lambda f: add_biases(f / safetensors),
             ["biases", "o_proj.bias", "attention_bias"]),
        *(case(f"quantised weights ({name})", f"quantised-{name}", lambda f, d=described: change_json(
            f / "config.json", quantization_config=d), ["config.json", word, "quantised"]) for name, described, word in quantised),
        case("quantised weights (mlx)", "quantised-mlx", lambda f: change_json(
            f / "config.json", quantization={"group_size": 64, "bits": 4}), ["config.json", "MLX", "quantised"]),
        case("layers without end", "layers", lambda f: change_json(f / "config.json", num_hidden_layers=1 << 30),
             ["num_hidden_layers"]),
        case("folder of several GGUF files", "many-gguf", several_gguf, ["a-Q4_K_M.gguf", "b-Q8_0.gguf"]),
        case("GGUF without its other part", "half-gguf", half_split, ["m-00002-of-00002.gguf"]),
        Case("weights file given as model", m.sft(model=m.model / safetensors), [safetensors, "folder"]),
        Case("adapter given as model", m.sft(model=m.checkpoint), ["checkpoint-4", "--adapters"]),
    ]


def cases_of_adapters(m):
    other = m.spoiled_checkpoint("other", lambda f: change_json(f / "adapter_config.json", r=4))
    no_config = m.spoiled_checkpoint("bare", lambda f: (f / "adapter_config.json").unlink())
    no_weights = m.spoiled_checkpoint("hollow", lambda f: (f / "adapter_model.safetensors").unlink())
    cut = m.spoiled_checkpoint("half", lambda f: truncate(f / "adapter_model.safetensors"))
    kind = m.spoiled_checkpoint("kind", lambda f: change_json(f / "adapter_config.json", peft_type="IA3"))
    foreign = m.spoiled_checkpoint("foreign", lambda f: with_header(f / "adapter_model.safetensors", deepen))
    exists = m.work / "exists"
    exists.mkdir()
    (exists / "precious.txt").write_text("mine")
    export = ["export", "--merge_lora", "true"]
    return [
        Case("adapter of another rank", m.infer("--adapters", other), ["other/checkpoint-4", "shape"]),
        Case("adapter of another model", export + [
            "--model", m.model, "--adapters", foreign, "--output_dir", m.work / "merged"],
             ["foreign/checkpoint-4", "layers.2"]),
        Case("adapter folder without configuration", m.infer("--adapters", no_config),
             ["bare/checkpoint-4", "adapter_config.json"]),
        Case("adapter folder without weights", m.infer("--adapters", no_weights),
             ["hollow/checkpoint-4", "adapter_model.safetensors"]),
        Case("truncated adapter", m.infer("--adapters", cut), ["half/checkpoint-4/adapter_model.safetensors"]),
        Case("adapter of another method than its configuration says", m.infer("--adapters", kind), ["IA3"]),
        *(Case(f"{what} as adapter", m.infer("--adapters", m.spoiled_checkpoint(
            f"adapter-{word}", becomes("adapter_model.safetensors", content))),
               [f"adapter-{word}/checkpoint-4/adapter_model.safetensors", says])
          for what, word, content, says in [
              ("git-lfs pointer", "pointer", POINTER, "git-lfs pointer"), ("web page", "page", PAGE, "web page"),
              ("whole model", "model", (m.model / "model.safetensors").read_bytes(), "no tensors of an adapter")]),
        Case("git-lfs pointer as adapter_config.json", m.infer("--adapters", m.spoiled_checkpoint(
            "adapter-config", becomes("adapter_config.json", POINTER))), ["adapter_config.json", "git-lfs pointer"]),
        Case("model given as adapter", m.infer("--adapters", m.model), [str(m.model), "--model"]),
        Case("adapter that is not there", m.infer("--adapters", m.work / "none"), [str(m.work / "none")]),
        Case("two adapters, of which one does not fit", m.infer("--adapters", m.checkpoint, other), ["other/checkpoint-4"]),
        Case("adapters and --tuner_type full", m.sft("--tuner_type", "full", "--adapters", m.checkpoint),
             ["--adapters", "full"]),
        Case("answers into an unwritable place",
             m.infer("--result_path", m.rows / "answers.jsonl"), [str(m.rows)]),
        Case("export onto a folder that exists", export + [
            "--model", m.model, "--adapters", m.checkpoint, "--output_dir", exists], [str(exists), "--exist_ok"]),
        Case("export of a damaged adapter", export + [
            "--model", m.model, "--adapters", cut, "--output_dir", m.work / "merged"], ["half/checkpoint-4"]),
        Case("export below a file", export + [
            "--model", m.model, "--adapters", m.checkpoint, "--output_dir", m.rows / "merged"], [str(m.rows)]),
        Case("export without an adapter", export + ["--model", m.model], ["--adapters"]),
        Case("export in shards of no size", export + [
            "--model", m.model, "--adapters", m.checkpoint, "--max_shard_size", "many"], ["--max_shard_size", "many"]),
    ]


def cases_of_runs(m):
    spoil = m.spoiled_checkpoint
    damaged = spoil("damaged", lambda f: flip(f / "optimizer.safetensors"))
    bare = spoil("stateless", lambda f: (f / "MANIFEST.json").unlink())
    return [
        Case("output folder below a file", m.training() + ["--output_dir", m.rows / "output"], [str(m.rows)]),
        Case("output folder in /proc", m.training() + ["--output_dir", "/proc/output"], ["/proc/output"]),
        Case("resume from a folder that is not there", m.resume(m.run / "checkpoint-99"), ["checkpoint-99"]),
        Case("resume from a folder that is no checkpoint", m.resume(m.model), [str(m.model)]),
        Case("resume from a damaged checkpoint", m.resume(damaged), ["damaged/checkpoint-4", "optimizer.safetensors"]),
        Case("resume from one without manifest", m.resume(bare), ["stateless/checkpoint-4"]),
        Case("resume with changed settings", m.resume(m.checkpoint, "--learning_rate", 5e-4, "--seed", 7),
             ["learning_rate", "0.0005", "seed", "7"]),
        Case("resume with another rank", m.resume(m.checkpoint, "--lora_rank", 4), ["lora_rank", "4", "8"]),
        Case("resume as full training", m.resume(m.checkpoint, "--tuner_type", "full"), ["tuner_type", "full"]),
    ]


def cases_of_tools(m):
    good = m.text("messages.json", '[{"role": "user", "content": "Hi"}]')
    raises = m.spoiled_model("tool-raises", lambda f: change_json(
        f / "tokenizer_config.json", chat_template="{{ raise_exception('roles must alternate') }}"))
    template = ["template", "--model", m.model, "--messages"]
    return [
        Case("messages that are not JSON", template + [m.text("bad.json", "[{")], ["bad.json"]),
        Case("messages that are no list", template + [m.text("number.json", "7")], ["--messages"]),
        Case("message without a role", template + [m.text("no-role.json", '[{"content": "x"}]')], ["role"]),
        Case("messages that are not there", template + [m.work / "none.json"], ["none.json"]),
        Case("messages nested beyond reason", template + [m.text("deep.json", "[" * 100_000)], ["deep.json"],
             needs_way_out=False),
        Case("template that raises, shown", ["template", "--model", raises, "--messages", good],
             ["roles must alternate"], needs_way_out=False),
        Case("id that is no token", ["tokenize", "--model", m.model, "--decode", "true", "--text", "[1, 99999]"],
             ["99999"]),
        Case("ids that are no list", ["tokenize", "--model", m.model, "--decode", "true"], ["hello"], "hello\n"),
        Case("text without a tokenizer", ["tokenize", "--model", m.rows.parent / "home", "--text", "x"], ["home"]),
    ]


def snapshot(folder):
    """Each file with its size and time of change, each folder by its name."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None
        for path in folder.rglob("*")
    }


def paragraph(text):
    """The paragraph of the first `error:`, and all that follows it."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("error:")), len(lines))
    return "\n".join(lines[start:])


def problems_of(material, case):
    """What is wrong with the answer to a case, and the answer."""
    before = snapshot(material.work)
    started = time.monotonic()
    try:
        ended = material.start(case.words, case.input, case.environment)
    except subprocess.TimeoutExpired:
        return [f"runs for more than {3 * SECONDS} s"], "", 0
    seconds = time.monotonic() - started
    message = paragraph(ended.stderr)
    problems = []
    if ended.returncode <= 0:
        problems.append(f"exit code {ended.returncode}")
    if seconds > SECONDS:
        problems.append(f"takes {seconds:.1f} s")
    if CRASH.search(ended.stderr):
        problems.append("crashes: " + CRASH.search(ended.stderr)[0])
    count = sum(line.startswith("error:") for line in ended.stderr.splitlines())
    if count != 1:
        problems.append(f"{count} paragraphs start with error:")
    if "\n\n" in message.strip():
        problems.append("the message is more than one paragraph")
    problems += [f"does not name {text!r}" for text in case.culprits if text not in message]
    if message and case.needs_way_out and not WAY_OUT.search(message):
        problems.append("says no way out")
    after = snapshot(material.work)
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path, 0) != after.get(path, 0))
    if case.keeps and not any(path == case.keeps or path.startswith(case.keeps + "/") for path in after):
        problems.append(f"does not keep {case.keeps}")
    litter = [path for path in changed if not case.keeps or path.split("/")[0] != case.keeps.split("/")[0]]
    if litter:
        problems.append("leaves behind: " + ", ".join(litter[:6]))
    for path in changed:
        left = material.work / path
        if path not in before and left.is_dir():
            shutil.rmtree(left)
        elif path not in before:
            left.unlink(missing_ok=True)
    return problems, message or ended.stderr.strip()[-400:], ended.returncode


PAGE_HEAD = """# Wrong inputs and what Apus says

Made by `Scripts/wrong-inputs`, which runs the program on each of these and checks the answer: one message that names the
flag, the file and the line, and says a way out; an exit code; nothing left on the disk. The exit code is 2 for words of
the command line, 3 for settings, models' configurations and adapters, 4 for data, weights, tokenizers and hubs, and 1 for
everything else.
"""


def page(sections, material):
    """What was typed, what the program says, and its exit code, as Markdown."""
    work = str(material.work)
    common = [str(word) for word in material.training()[5:]]

    def typed(case):
        """The command; what every training run has beside its model and data is a dash."""
        words = [str(word) for word in case.words]
        if words[5:5 + len(common)] == common:
            words[5:5 + len(common)] = ["…"]
        return [plain(word)[:160] for word in words]

    def plain(text):
        text = text.replace(work + "/", "").replace(work, ".")
        text = re.sub(r"\.tmp-([\w.]+?)-[0-9a-fA-F-]{36}", r".tmp-\1-…", text)
        return re.sub(r"\.apus-[0-9A-F-]{36}", ".apus-…", text)

    lines = [PAGE_HEAD]
    for title, entries in sections:
        lines += [f"## {title}", ""]
        for case, message, code in entries:
            variables = [f"{name}={value}" for name, value in case.environment.items()]
            words = " ".join(variables + ["apus"] + [word if word == "…" else shlex.quote(word) for word in typed(case)])
            lines += [f"### {case.name[0].upper()}{case.name[1:]}", "", "```", f"$ {words}", plain(message).rstrip(),
                      f"exit code {code}", "```", ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apus", required=True, help="the program")
    parser.add_argument("--work", help="a new folder to work in, which stays")
    parser.add_argument("--only", default="", help="cases whose name holds this word")
    parser.add_argument("--whole", action="store_true", help="show whole messages")
    parser.add_argument("--page", help="the file for a page of all cases")
    arguments = parser.parse_args()

    work = pathlib.Path(arguments.work or tempfile.mkdtemp(prefix="apus-wrong-")).resolve()
    (work / "home").mkdir(parents=True)
    material = Material(str(pathlib.Path(arguments.apus).resolve()), work)
    makers = {
        "Words of the command line": cases_of_arguments, "Older words, environments, contradictions": wrong_words.cases_of_words,
        "Configuration files": wrong_words.cases_of_configurations, "Data": cases_of_data,
        "Data files": wrong_words.cases_of_files, "Labels": cases_of_labels, "Preferences": cases_of_preferences,
        "Rewards": wrong_rewards.cases_of_rewards,
        "Models": cases_of_models,
        "Hubs": wrong_words.cases_of_hubs, "Adapters and exports": cases_of_adapters, "Runs": cases_of_runs,
        "Tools": cases_of_tools,
    }
    sections, count, failures = [], 0, 0
    for title, make in makers.items():
        entries = []
        for case in make(material):
            if arguments.only not in case.name:
                continue
            problems, message, code = problems_of(material, case)
            count += 1
            failures += bool(problems)
            text = message.replace(str(work) + "/", "")
            shown = "\n" + text if arguments.whole else " ".join(text.split())[:SHOWN]
            print(f"{'FAILED' if problems else 'ok    '} {case.name:58}  {shown}", flush=True)
            if problems:
                words = " ".join(map(str, case.words)).replace(str(work) + "/", "")
                print("\n".join(f"         {line}" for line in [*problems, f"apus {words}"]), flush=True)
            entries.append((case, message, code))
        sections.append((title, entries))
    if arguments.page:
        pathlib.Path(arguments.page).write_text(page(sections, material), encoding="utf-8")
    print(f"wrong inputs: {count - failures}/{count}")
    if arguments.work is None:
        shutil.rmtree(work)
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(main())
