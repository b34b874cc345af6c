"""Wrong words, variables, configuration files, data files and ids, for wrong_inputs.py."""

import json

from wrong_case import Case
from tiny_model import REPOSITORY


def cases_of_words(m):
    """Names of older versions and of other programs, the environment, and settings that contradict each other."""
    reranker = ("--task_type", "reranker")
    return [
        Case("kind of preference learning as a command", ["dpo", "--model", m.model], ["--dataset"]),
        Case("command with a dash too many", ["--sft", "--model", m.model], ["--sft"]),
        Case("abbreviation of several flags", m.sft("--lora_", 8), ["--lora_", "--lora_rank"]),
        Case("flag with one dash", m.sft("-lora_rank", 8), ["-lora_rank", "--lora_rank"]),
        Case("flag of another command", m.sft("--merge_lora", "true"), ["--merge_lora", "export"]),
        Case("flag of another program", m.sft("--cutoff_length", 512), ["--cutoff_length", "--help"]),
        Case("word that stands alone", ["sft", "model", "--dataset", m.rows], ["model"]),
        Case("long dash pasted from a page", ["sft", "—model", m.model, "--dataset", m.rows], ["—model", "--"]),
        Case("boolean that is a number", m.sft("--packing", 2), ["--packing", "2", "true or false"]),
        Case("name of a model of 2.x that nobody knows", ["sft", "--model_type", "gpt9-chat", "--dataset", m.rows],
             ["--model_type", "gpt9-chat", "--model"]),
        Case("number of rows of several data sets",
             ["sft", "--model", m.model, "--dataset", m.rows, m.rows, "--train_dataset_sample", 5],
             ["--train_dataset_sample", "#5"]),
        Case("mix of data sets of 2.x", m.sft("--train_dataset_mix_ratio", 2), ["--train_dataset_mix_ratio", "--dataset"]),
        Case("engine's devices", m.infer("--vllm_tensor_parallel_size", 4), ["--vllm_tensor_parallel_size", "one device"]),
        Case("several processes", m.sft(), ["NPROC_PER_NODE=2"], environment={"NPROC_PER_NODE": "2"}),
        Case("negatives that are not drawn so", m.sft(*reranker), ["MAX_NEGATIVE_SAMPLES=1"],
             environment={"MAX_NEGATIVE_SAMPLES": "1"}),
        Case("variable that is no number", m.sft("--task_type", "embedding", "--loss_type", "infonce"),
             ["INFONCE_TEMPERATURE", "warm"], environment={"INFONCE_TEMPERATURE": "warm"}),
        Case("two types to compute in", m.sft("--bf16", "true", "--fp16", "true"), ["--bf16", "--fp16"]),
        Case("type against type", m.sft("--bf16", "true"), ["--bf16", "--torch_dtype"]),
        Case("quantised weights that train", m.sft(
            "--tuner_type", "full", "--quant_method", "bnb", "--quant_bits", 4), ["--quant_method", "--tuner_type full"]),
        Case("half a quantisation", m.sft("--quant_bits", 4), ["--quant_bits 4", "--quant_method bnb"]),
        Case("bits that are not there", m.sft("--quant_method", "bnb", "--quant_bits", 3), ["--quant_bits 3", "4 and 8"]),
        Case("stream without an end", m.sft("--streaming", "true", "--max_steps", -1), ["--streaming", "--max_steps"]),
        Case("loss of another task", m.sft("--task_type", "embedding", "--loss_type", "listwise_reranker"),
             ["--loss_type listwise_reranker", "cosine_similarity"]),
        Case("GaLore over an adapter", m.sft("--use_galore", "true"), ["--use_galore", "full"]),
        Case("device that is not there, by its name", m.sft("--device", "cuda"), ["cuda", "--device"]),
        Case("device that nobody has", m.sft("--device", "tpu"), ["--device", "tpu", "cpu"]),
    ]


def cases_of_configurations(m):
    def file(name, text):
        return ["sft", m.text(name, text)]

    return [
        Case("misspelt key", file("key.yaml", f"model: {m.model}\ndataset: {m.rows}\nlearning_ratte: 1e-4\n"),
             ["learning_ratte", "learning_rate"]),
        Case("key twice", file("twice.json", '{"model": "a", "model": "b"}'), ["twice.json", "model"]),
        Case("value of the wrong kind", file("kind.yaml", f"model: {m.model}\ndataset: {m.rows}\nlora_rank: many\n"),
             ["lora_rank", "many"]),
        Case("list where one value belongs", file(
            "list.json", json.dumps({"model": str(m.model), "dataset": str(m.rows), "lora_rank": [8, 16]})),
             ["lora_rank", "8", "16"]),
        Case("list at the top", file("top.yaml", "- model\n- dataset\n"), ["top.yaml", "mapping"]),
        Case("environment that is no mapping", file("env.yaml", "model: m\nENV: [A, B]\n"), ["env.yaml", "ENV"]),
        Case("broken JSON", file("broken.json", '{"model": "m",}'), ["broken.json", "line 1"]),
        Case("tabs in YAML", file("tab.yaml", "model: m\n\tdataset: d\n"), ["tab.yaml", "line"]),
        Case("configuration that is no text", ["sft", _bytes(m, "bytes.yaml", bytes(range(128, 256)))], ["bytes.yaml", "UTF-8"]),
    ]


def _bytes(m, name, content):
    (m.work / name).write_bytes(content)
    return m.work / name


def cases_of_files(m):
    parquet = (REPOSITORY / "Tests/Fixtures/arrow/table.parquet").read_bytes()
    return [
        Case("CSV with a quotation that does not end", m.sft(rows=m.text("open.csv", 'query,response\n"a,b\nc,d\n')),
             ["open.csv"]),
        Case("CSV with a cell too many", m.sft(
            "--strict", "true", rows=m.text("cells.csv", "query,response\na,b\nc,d,e\n")), ["cells.csv:3", "3 instead of 2"]),
        Case("CSV with a column twice", m.sft(rows=m.text("twice.csv", "query,query\na,b\n")), ["twice.csv", "query"]),
        Case("CSV of a header alone", m.sft(rows=m.text("header.csv", "query,response\n")), ["header.csv"]),
        Case("Parquet that ends early", m.sft(rows=_bytes(m, "cut.parquet", parquet[:200])), ["cut.parquet"]),
        Case("Parquet that is none", m.sft(rows=m.text("text.parquet", "hello\n")), ["text.parquet"]),
        Case("gzip that is none", m.sft(rows=m.text("rows.jsonl.gz", "hello\n")), ["rows.jsonl.gz"]),
        Case("JSON array that ends early", m.sft(rows=m.text("cut.json", '[{"query": "a", "response": "b"},')), ["cut.json"]),
        Case("JSON that is one number", m.sft(rows=m.text("number.json", "7")), ["number.json"]),
        Case("rows that are texts", m.sft(rows=m.text("texts.jsonl", '"a"\n"b"\n')), ["texts.jsonl"]),
        Case("bytes that are not UTF-8", m.sft(rows=_bytes(m, "latin.jsonl", b'{"query": "caf\xe9", "response": "b"}\n')),
             ["latin.jsonl", "UTF-8"]),
        Case("folder as a data file", m.sft(rows=m.model), [str(m.model)]),
        Case("pictures in a row", m.sft(rows=m.lines("image.jsonl", [
            {"messages": [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "A cat."}],
             "images": ["cat.png"]}])), ["image.jsonl", "images"]),
        Case("web page as data", m.sft(rows=m.text("page.jsonl", "<!DOCTYPE html>\n<html></html>\n")), ["page.jsonl"]),
        Case("git-lfs pointer as data", m.sft(rows=m.text(
            "pointer.jsonl", f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n")),
             ["pointer.jsonl"]),
    ]


def cases_of_hubs(m):
    offline = {"HF_HUB_OFFLINE": "1"}
    return [
        Case("id of a hub, offline", m.sft(model="someone/some-model"), ["someone/some-model", "HF_HUB_OFFLINE"],
             environment=offline),
        Case("id that no hub can have", m.sft(model="some/one/model"), ["some/one/model", "folder"], environment=offline),
        Case("name without an owner", m.sft(model="some model"), ["some model", "folder"], environment=offline),
        Case("data set of a hub, offline", m.sft(rows="someone/some-data"), ["someone/some-data"], environment=offline),
        Case("unknown hub", m.sft(rows="kaggle::someone/data"), ["kaggle"]),
        Case("download of nothing", ["download"], ["download"]),
        Case("download of what no hub can have", ["download", "a/b/c"], ["a/b/c"]),
        Case("several downloads into one folder",
             ["download", "a/b", "c/d", "--local_dir", m.work / "both"], ["--local_dir"]),
        Case("publishing without a token", [
            "export", "--model", m.model, "--push_to_hub", "true", "--hub_model_id", "me/model"], ["MODELSCOPE_API_TOKEN"],
             environment=offline),
    ]
