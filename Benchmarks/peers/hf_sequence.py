"""The peer: sequence classification and regression by the Hugging Face Trainer, in full or with PEFT's LoRA.

Prints one JSON object: the metrics on all rows of --dev, samples per second of training, peak memory, the time from
the start of the process to the end of the first optimizer step, the seconds and the loss of each step. Rows are JSONL
{"text1", "text2", "label"} ("text2" only for pairs), shuffled for each epoch unless --sequential, and padded to the
longest of their batch.

    hf_sequence.py --model FOLDER --train train.jsonl --dev dev.jsonl --problem regression > result.json
    hf_sequence.py --model model.gguf --train … --dev … --problem regression --pair text --lora 8 32 0.05 > result.json

A new head starts from a fixed seed. A long run can be cut up: with --checkpoints FOLDER --until STEP it stops at that
step, and goes on from there when called again (times and rates are then those of the last part). --save writes what was
trained; --each-epoch measures --dev after every epoch; --max-steps 0 trains nothing and measures what --model, or
--adapter on it, holds.

The precisions:
  fp32            everything in fp32
  bf16            weights, LoRA and head in bfloat16, no autocast; a regression's loss in fp32, without which its
                  backward pass fails
  bf16-autocast   weights in bfloat16, LoRA in fp32 under autocast (what `bf16=True` and PEFT's defaults give)
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

from hf_peft import peak_memory_mib, seconds_since_process_start


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder, or a GGUF file")
    parser.add_argument("--tokenizer", type=Path, help="folder, where the model has none")
    parser.add_argument("--train", type=Path, help="JSONL; not needed with --max-steps 0")
    parser.add_argument("--dev", type=Path, help="JSONL; without it nothing is evaluated")
    parser.add_argument("--problem", choices=["regression", "single_label_classification"], required=True)
    parser.add_argument("--num-labels", type=int, help="by default 1 for regression, else 2")
    parser.add_argument("--pair", choices=["segments", "text"], default="segments",
                        help="pairs as two segments (encoders) or written into one text (decoders)")
    parser.add_argument("--pair-format", default="Sentence 1: {text1}\\nSentence 2: {text2}", help=r"\n is a new line")
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--max-steps", type=int, default=-1, help="wins over --epochs")
    parser.add_argument("--sequential", action="store_true", help="the rows in their order")
    parser.add_argument("--checkpoints", type=Path, help="go on from the last checkpoint in this folder")
    parser.add_argument("--until", type=int, help="stop at this step, with a checkpoint in --checkpoints")
    parser.add_argument("--each-epoch", action="store_true", help="measure --dev after every epoch (not for timing)")
    parser.add_argument("--warm", type=int, default=5, help="first steps that medians and rates leave out")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--eval-batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--warmup-ratio", type=float, default=0.0, help="share of the steps in which the rate rises")
    parser.add_argument("--scheduler", choices=["linear", "cosine", "constant", "constant_with_warmup"],
                        default="linear")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--adam-beta1", type=float, default=0.9)
    parser.add_argument("--adam-beta2", type=float, default=0.95)
    parser.add_argument("--max-grad-norm", type=float, default=1.0)
    parser.add_argument("--lora", nargs=3, type=float, metavar=("RANK", "ALPHA", "DROPOUT"))
    parser.add_argument("--adapter", type=Path, help="start from this PEFT adapter")
    parser.add_argument("--precision", choices=["fp32", "bf16", "bf16-autocast"], default="fp32")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--save", type=Path, help="write the trained adapter or model here")
    options = parser.parse_args()
    options.pair_format = options.pair_format.replace("\\n", "\n")
    options.num_labels = options.num_labels or (1 if options.problem == "regression" else 2)
    if options.train is None and options.max_steps != 0:
        parser.error("give --train, or --max-steps 0")
    if options.until and not options.checkpoints:
        parser.error("--until needs --checkpoints")
    return options


def source(path):
    """Where from_pretrained finds a folder or a GGUF file."""
    if path.suffix == ".gguf":
        return path.parent, {"gguf_file": path.name}
    return path, {}


def make_tokenizer(options):
    from transformers import AutoTokenizer

    folder, extra = source(options.tokenizer or options.model)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **extra)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def make_model(options, tokenizer):
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForSequenceClassification, set_seed

    folder, extra = source(options.model)
    set_seed(options.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=options.num_labels, problem_type=options.problem, local_files_only=True,
        dtype=torch.float32 if options.precision == "fp32" else torch.bfloat16, **extra)
    if extra:
        # The weights are plain tensors now; the Trainer would refuse a model that calls itself quantized.
        model.hf_quantizer, model.is_quantized = None, False
        del model.config.quantization_config
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.use_cache = False
    new_adapters_in_fp32 = options.precision == "bf16-autocast"
    if options.adapter:
        return PeftModel.from_pretrained(
            model, options.adapter, is_trainable=options.max_steps != 0, autocast_adapter_dtype=new_adapters_in_fp32)
    if not options.lora:
        return model
    rank, alpha, dropout = options.lora
    set_seed(options.seed)
    config = LoraConfig(r=int(rank), lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear",
                        task_type="SEQ_CLS")
    return get_peft_model(model, config, autocast_adapter_dtype=new_adapters_in_fp32)


def encode(options, tokenizer, file):
    rows = []
    for line in file.read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            continue
        row = json.loads(line)
        if "text2" not in row:
            texts = (row["text1"],)
        elif options.pair == "segments":
            texts = (row["text1"], row["text2"])
        else:
            text = options.pair_format
            for name in ("text1", "text2"):
                before, after = text.split("{" + name + "}", 1)
                text = before + row[name] + after
            texts = (text,)
        label = float(row["label"]) if options.problem == "regression" else int(row["label"])
        rows.append({**tokenizer(*texts, truncation=True, max_length=options.max_length), "labels": label})
    return rows


class Collator:
    """Pads to the longest of the batch, and keeps count."""

    def __init__(self, tokenizer):
        self.tokenizer, self.batches = tokenizer, []

    def __call__(self, rows):
        lengths = [len(row["input_ids"]) for row in rows]
        self.batches.append({"samples": len(rows), "tokens": sum(lengths), "padded": len(rows) * max(lengths)})
        return self.tokenizer.pad(rows, padding="longest", return_tensors="pt")


def make_trainer(options, model, tokenizer, rows, scratch):
    import torch
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        """The times at which steps ended (the first entry: when training began); stops where it is asked to."""

        def __init__(self):
            self.ends, self.first = [], None

        def on_train_begin(self, *_, **__):
            self.ends.append(time.perf_counter())

        def on_step_end(self, args, state, control, **_):
            self.ends.append(time.perf_counter())
            self.first = self.first or seconds_since_process_start()
            if state.global_step % 10 == 0:
                print(f"{state.global_step}/{state.max_steps}", file=sys.stderr)
            if state.global_step == options.until:
                control.should_save = control.should_training_stop = True

    def squared_error(outputs, labels, num_items_in_batch=None):
        return torch.nn.functional.mse_loss(outputs.logits.float().squeeze(-1), labels.float())

    clock = Clock()
    needs_fp32_loss = options.precision == "bf16" and options.problem == "regression"
    trainer = Trainer(
        model=model, train_dataset=rows, data_collator=Collator(tokenizer), processing_class=tokenizer,
        callbacks=[clock], compute_loss_func=squared_error if needs_fp32_loss else None, args=TrainingArguments(
            output_dir=options.checkpoints or scratch, num_train_epochs=options.epochs, max_steps=options.max_steps,
            per_device_train_batch_size=options.batch, per_device_eval_batch_size=options.eval_batch,
            learning_rate=options.learning_rate, lr_scheduler_type=options.scheduler,
            warmup_steps=options.warmup_ratio, weight_decay=options.weight_decay, adam_beta1=options.adam_beta1,
            adam_beta2=options.adam_beta2, max_grad_norm=options.max_grad_norm, seed=options.seed,
            bf16=options.precision == "bf16-autocast", use_cpu=True,
            train_sampling_strategy="sequential" if options.sequential else "random", logging_steps=1,
            save_strategy="no", report_to="none", disable_tqdm=True))
    trainer.remove_callback(PrinterCallback)
    return trainer, clock


def last_checkpoint(folder):
    from transformers.trainer_utils import get_last_checkpoint

    return get_last_checkpoint(folder) if folder and folder.is_dir() else None


def ranks(values):
    """Ranks from 1; equal values share the mean of theirs."""
    import numpy

    _, group, sizes = numpy.unique(values, return_inverse=True, return_counts=True)
    ends = numpy.cumsum(sizes)
    return (ends - (sizes - 1) / 2)[group]


def measure(problem, logits, labels):
    import numpy

    logits, labels = numpy.asarray(logits, numpy.float64), numpy.asarray(labels, numpy.float64)
    if problem == "regression":
        values = logits.squeeze(-1)
        return {"pearson": float(numpy.corrcoef(values, labels)[0, 1]),
                "spearman": float(numpy.corrcoef(ranks(values), ranks(labels))[0, 1]),
                "mse": float(numpy.mean((values - labels) ** 2))}
    chosen = logits.argmax(-1)
    scores = []
    for label in numpy.union1d(chosen, labels):
        hits = numpy.sum((chosen == label) & (labels == label))
        scores.append(2 * hits / (numpy.sum(chosen == label) + numpy.sum(labels == label)))
    return {"accuracy": float(numpy.mean(chosen == labels)), "macro_f1": float(numpy.mean(scores))}


def measure_each_epoch(options, trainer, dev):
    """A list that grows by the metrics of --dev after every epoch."""
    from transformers import TrainerCallback

    class EachEpoch(TrainerCallback):
        def on_epoch_end(self, args, state, control, **_):
            prediction = trainer.predict(dev)
            metrics = measure(options.problem, prediction.predictions, prediction.label_ids)
            measured.append({"epoch": state.epoch, **metrics})
            print(measured[-1], file=sys.stderr)

    measured = []
    trainer.add_callback(EachEpoch())
    return measured


def speed(options, clock, batches):
    seconds = [b - a for a, b in zip(clock.ends, clock.ends[1:])]
    if not seconds:
        return {}
    warm = min(options.warm, len(seconds) - 1)
    timed, counted = sum(seconds[warm:]), batches[warm : len(seconds)]
    return {
        "steps": len(seconds),
        "stepsTimed": len(seconds) - warm,
        "stepSecondsMedian": statistics.median(seconds[warm:]),
        "samplesPerSecond": sum(batch["samples"] for batch in counted) / timed,
        "tokensPerSecond": sum(batch["tokens"] for batch in counted) / timed,
        "paddedTokensPerSecond": sum(batch["padded"] for batch in counted) / timed,
        "trainSeconds": clock.ends[-1] - clock.ends[0],
        "secondsToFirstStep": clock.first,
        "stepSeconds": seconds,
    }


def main():
    options = parse()
    os.environ.update(OMP_NUM_THREADS=str(options.threads), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false",
                      TQDM_DISABLE="1")
    import peft
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer = make_tokenizer(options)
    train = encode(options, tokenizer, options.train) if options.max_steps != 0 else None
    dev = encode(options, tokenizer, options.dev) if options.dev else None
    model = make_model(options, tokenizer)
    result = {
        "peer": "transformers Trainer" + (" + PEFT" if options.lora or options.adapter else ""),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__,
                     "python": platform.python_version()},
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        "trainableParameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }
    with tempfile.TemporaryDirectory() as scratch:
        trainer, clock = make_trainer(options, model, tokenizer, train, scratch)
        if options.each_epoch:
            result["devOfEpochs"] = measure_each_epoch(options, trainer, dev)
        if train is not None:
            trainer.train(resume_from_checkpoint=last_checkpoint(options.checkpoints))
            result |= speed(options, clock, trainer.data_collator.batches)
            result["trainRows"] = len(train)
            # Before evaluation, which does not belong to training.
            result["peakMemoryMiB"] = peak_memory_mib("cpu")
            log = [entry for entry in trainer.state.log_history if "loss" in entry]
            result["losses"] = [entry["loss"] for entry in log]
            result["gradientNorms"] = [entry["grad_norm"] for entry in log]
            result["learningRates"] = [entry["learning_rate"] for entry in log]
            if not all(map(math.isfinite, result["losses"])):
                sys.exit("a loss is not finite")
        if options.save:
            model.save_pretrained(options.save)
            tokenizer.save_pretrained(options.save)
        if dev is not None:
            started = time.perf_counter()
            prediction = trainer.predict(dev)
            result["devRows"] = len(dev)
            result["devSeconds"] = time.perf_counter() - started
            result["dev"] = measure(options.problem, prediction.predictions, prediction.label_ids)
    result.setdefault("peakMemoryMiB", peak_memory_mib("cpu"))
    result["seconds"] = seconds_since_process_start()
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
