"""The peer: LoRA fine-tuning by the Hugging Face Trainer with PEFT, timed step by step.

Prints one JSON object: seconds of each step, tokens per second (padding never counted), peak memory, the time from
the start of the process to the end of the first optimizer step, and the loss of each step. Rows are read in their
order and padded to the longest of their micro-batch.

    hf_peft.py --model FOLDER --data data.json --steps 25 [--precision bf16|bf16-autocast|fp32] > result.json

With --random the folder needs a config.json alone, and the weights are drawn where they are computed with; --device cuda
computes on a GPU, of which the memory is then told.

With --method any other method of PEFT is trained in LoRA's place, as the adapter_config.json of a folder describes it.

The precisions, of which the fastest is the fair peer on a given machine (a processor without bfloat16 instructions
is tens of times slower in bfloat16 than in fp32):
  bf16            frozen weights and LoRA in bfloat16, no autocast
  bf16-autocast   weights in bfloat16, LoRA in fp32 under autocast (what `bf16=True` and PEFT's defaults give)
  fp32            everything in fp32

All weights (--full) are trained in fp32 under autocast with bf16-autocast, as in bfloat16 small updates are lost.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path


def seconds_since_process_start():
    started = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def peak_memory_mib(device):
    if device == "cuda":
        import torch
        return torch.cuda.max_memory_allocated() / 1048576
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="JSON list of rows with ids and labels")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--warmup", type=int, default=5, help="first steps that medians and rates leave out")
    parser.add_argument("--precision", choices=["bf16", "bf16-autocast", "fp32"], default="bf16")
    parser.add_argument("--quantize", choices=["nf4", "fp4"], help="train over bitsandbytes' weights in four bits")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--alpha", type=int, default=32)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--full", action="store_true", help="train all weights instead of LoRA")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--checkpointing", action="store_true", help="recompute activations")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--random", action="store_true", help="draw the weights instead of reading them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--method", type=Path, help="folder of an adapter_config.json: another method than LoRA, made anew")
    parser.add_argument("--adapter", type=Path, help="start from this adapter; made and saved where it is not there")
    parser.add_argument("--save", type=Path, help="write the trained adapter or model here")
    return parser.parse_args()


def make_model(options):
    import torch
    from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    in_float = options.precision == "fp32" or options.full and options.precision == "bf16-autocast"
    dtype = torch.float32 if in_float else torch.bfloat16
    quantized = {}
    if options.quantize:
        from transformers import BitsAndBytesConfig
        quantized["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=options.quantize, bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype)
    if options.random:
        from transformers import AutoConfig
        with torch.device(options.device):
            model = AutoModelForCausalLM.from_config(
                AutoConfig.from_pretrained(options.model), dtype=dtype, attn_implementation="sdpa")
    else:
        model = AutoModelForCausalLM.from_pretrained(
            options.model, dtype=dtype, attn_implementation="sdpa", local_files_only=True, **quantized)
    model.config.use_cache = False
    if options.full:
        return model
    fp32_adapter = options.precision == "bf16-autocast"
    if options.adapter and (options.adapter / "adapter_config.json").exists():
        return PeftModel.from_pretrained(
            model, options.adapter, is_trainable=True, autocast_adapter_dtype=fp32_adapter)
    if options.method:
        config = PeftConfig.from_pretrained(options.method)
        config.inference_mode = False
        if config.peft_type == "ADALORA":
            config.total_step = options.steps
        return get_peft_model(model, config, autocast_adapter_dtype=fp32_adapter)
    config = LoraConfig(r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout,
                        target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, config, autocast_adapter_dtype=fp32_adapter)
    if options.adapter:
        model.save_pretrained(options.adapter)
    return model


def collate(rows):
    import torch

    width = max(len(row["ids"]) for row in rows)
    fill = [(row, width - len(row["ids"])) for row in rows]
    return {
        "input_ids": torch.tensor([row["ids"] + [0] * n for row, n in fill]),
        "attention_mask": torch.tensor([[1] * len(row["ids"]) + [0] * n for row, n in fill]),
        "labels": torch.tensor([row["labels"] + [-100] * n for row, n in fill]),
    }


def train(options, model, rows):
    """Runs the Trainer; the times at which steps ended (the first entry: when training began), and its log."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        def __init__(self):
            self.ends, self.first = [], None

        def on_train_begin(self, *_, **__):
            self.ends.append(time.perf_counter())

        def on_optimizer_step(self, _, state, *__, **___):
            # AdaLoRA hands out its ranks between the update and the end of the gradients.
            if hasattr(getattr(model, "base_model", None), "update_and_allocate"):
                model.base_model.update_and_allocate(state.global_step + 1)

        def on_step_end(self, *_, **__):
            self.ends.append(time.perf_counter())
            self.first = self.first or seconds_since_process_start()

    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(model=model, train_dataset=rows, data_collator=collate, callbacks=[clock],
                          args=TrainingArguments(
            output_dir=scratch, max_steps=options.steps, per_device_train_batch_size=options.batch,
            gradient_accumulation_steps=options.accumulation, learning_rate=options.learning_rate,
            lr_scheduler_type="constant", seed=options.seed, bf16=options.precision == "bf16-autocast", use_cpu=options.device == "cpu",
            gradient_checkpointing=options.checkpointing, train_sampling_strategy="sequential", logging_steps=1,
            save_strategy="no", report_to="none", disable_tqdm=True, remove_unused_columns=False))
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return clock, [entry for entry in trainer.state.log_history if "loss" in entry]


def count(options, rows):
    """Samples, tokens, supervised tokens and padded width × rows of each optimizer step."""
    order = [rows[i : i + options.batch] for i in range(0, len(rows), options.batch)]
    epoch = [order[i : i + options.accumulation] for i in range(0, len(order), options.accumulation)]
    for step in range(options.steps):
        batches = epoch[step % len(epoch)]
        flat = [row for batch in batches for row in batch]
        yield {"samples": len(flat), "tokens": sum(len(row["ids"]) for row in flat),
               "supervised": sum(label != -100 for row in flat for label in row["labels"][1:]),
               "padded": sum(len(batch) * max(len(row["ids"]) for row in batch) for batch in batches)}


def main():
    options = parse()
    os.environ.update(OMP_NUM_THREADS=str(options.threads), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    import peft
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    rows = json.loads(options.data.read_text())
    model = make_model(options)
    clock, log = train(options, model, rows)
    if options.save:
        model.save_pretrained(options.save)

    seconds = [b - a for a, b in zip(clock.ends, clock.ends[1:])]
    counts = list(count(options, rows))
    warm = min(options.warmup, options.steps - 1)
    timed = sum(seconds[warm:])

    def rate(key):
        return sum(step[key] for step in counts[warm:]) / timed

    json.dump({
        "peer": "transformers Trainer + PEFT",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__,
                     "python": platform.python_version()},
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        "stepsTimed": options.steps - warm,
        "stepSecondsMedian": statistics.median(seconds[warm:]),
        "stepSecondsDeviation": statistics.stdev(seconds[warm:]) if options.steps - warm > 1 else None,
        "tokensPerSecond": rate("tokens"),
        "supervisedTokensPerSecond": rate("supervised"),
        "samplesPerSecond": rate("samples"),
        "paddedTokensPerSecond": rate("padded"),
        "secondsToFirstStep": clock.first,
        "peakMemoryMiB": peak_memory_mib(options.device),
        "trainableParameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "stepSeconds": seconds,
        "tokens": [step["tokens"] for step in counts],
        "losses": [entry["loss"] for entry in log],
        "gradientNorms": [entry["grad_norm"] for entry in log],
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
