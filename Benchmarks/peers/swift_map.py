"""The peer: ms-swift reads, maps and packs conversations, as its `sft --packing true` does before a run.

    swift_map.py TOKENIZER DATA.jsonl [--processes 2]

Prints one JSON object, as DataBench does; the checksum is made after the clock has stopped. Time is that of ms-swift's
own `load_dataset`, `AddLengthPreprocessor` (which encodes every row with the template `qwen2_5`) and `PackingDataset`;
imports, the tokenizer and what ms-swift encodes once more during the run do not count.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

CONFIG = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24,
          "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864, "vocab_size": 151936,
          "max_position_embeddings": 32768, "torch_dtype": "bfloat16"}
LIMIT = 2048


def processor_seconds():
    """Of this process and of those that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()

    import numpy as np
    from swift import get_processor, get_template, load_dataset
    from swift.dataset import AddLengthPreprocessor, PackingDataset

    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch)
        for file in options.tokenizer.iterdir():
            (model / file.name).symlink_to(file.resolve())
        (model / "config.json").write_text(json.dumps(CONFIG))
        processor = get_processor(scratch, model_type="qwen2")
        template = get_template(processor, template_type="qwen2_5", max_length=LIMIT)
    template.set_mode("train")

    start, processor = time.perf_counter(), processor_seconds()
    rows, _ = load_dataset([str(options.data)], num_proc=options.processes, load_from_cache_file=False)
    read = time.perf_counter()
    mapped = AddLengthPreprocessor(template=template)(
        rows, num_proc=options.processes, load_from_cache_file=False, batch_size=1000)
    encoded = time.perf_counter()
    packs = PackingDataset(template, mapped, num_proc=options.processes, packing_length=LIMIT)
    end = time.perf_counter()
    used = processor_seconds() - processor

    tokens, sums = 0, [0, 0]
    for row in mapped:
        made = template.encode(row)
        ids, labels = np.array(made["input_ids"]), np.array(made["labels"])
        weighted = ids * np.arange(1, len(ids) + 1)
        tokens += len(ids)
        sums[0] += int(weighted.sum())
        sums[1] += int(weighted[labels != -100].sum())
    print(json.dumps({
        "name": "ms-swift", "rows": len(rows), "samples": len(mapped), "tokens": tokens, "packs": len(packs),
        "checksum": sums, "readSeconds": read - start, "encodeSeconds": encoded - read, "packSeconds": end - encoded,
        "seconds": end - start, "rowsPerSecond": len(rows) / (end - start),
        "processorSeconds": used, "peakMemoryMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
