"""Trains with the Hugging Face Trainer (and PEFT) as a settings file says, to be compared with Apus step by step.

--data is a JSON list of rows with `ids` and `labels`, read in order; --settings a JSON object of TrainingArguments.
With --adapter the run starts from that adapter and trains it alone, otherwise all weights are trained.
Writes to --out `steps.json` and the trained weights: `adapter/`, or `model.safetensors`.
"""

import argparse
import json
from pathlib import Path

import torch
from oracle import load_model, write_json, write_tensors
from peft import PeftModel
from reference_run import columns, train, windows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder or GGUF file")
    parser.add_argument("--adapter", type=Path, help="folder of the adapter to start from")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    settings, rows = json.loads(options.settings.read_text()), json.loads(options.data.read_text())
    model = load_model(options.model)
    if options.adapter:
        model = PeftModel.from_pretrained(model, options.adapter, is_trainable=True)
    trainer, log = train(model, rows, settings)
    epoch = windows(rows, trainer.args.per_device_train_batch_size, trainer.args.gradient_accumulation_steps)
    write_json(options.out / "steps.json", {"settings": settings, "optimizer": trainer.args.optim.value,
                                            "steps": columns(log, epoch)})
    if options.adapter:
        model.save_pretrained(options.out / "adapter")
    else:
        write_tensors(options.out / "model.safetensors", dict(model.named_parameters()))
    print(f"{len(log)} steps, loss {log[0]['loss']:.6f} to {log[-1]['loss']:.6f}")


if __name__ == "__main__":
    main()
