"""Loads an adapter folder, written by Apus or by PEFT, with PEFT and writes the logits that it leads to.

Strict: the adapter's file must hold exactly the tensors that its configuration asks for, with the right shapes, and
PEFT must take them over unchanged. Exits with 1 where it does not.

Writes to --out `expected.json` (the sequences) and `expected.safetensors`: `logits.N` with the adapter, `base.N`
without it, `merged.N` after merging, where the method can be merged.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import torch
from oracle import load_model, load_tokenizer, logits, write_json, write_tensors
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file


def load_strictly(base, folder):
    """The adapted model; ends the program where file and model do not match exactly."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        # What PEFT says of itself and not of the file: BOFT without its kernel, layers that are none to it.
        for message in ["Failed to load the CUDA extension", "Setting boft_n_butterfly_factor to 1", "Unsupported layer type"]:
            warnings.filterwarnings("ignore", message=message)
        model = PeftModel.from_pretrained(base, folder).eval()
    stored = load_file(folder / "adapter_model.safetensors")
    loaded = get_peft_model_state_dict(model)
    problems = [f"missing in the file: {key}" for key in sorted(loaded.keys() - stored.keys())]
    problems += [f"not wanted by PEFT: {key}" for key in sorted(stored.keys() - loaded.keys())]
    problems += [f"changed while loading: {key}" for key in sorted(stored.keys() & loaded.keys())
                 if not torch.equal(stored[key].float(), loaded[key].float())]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{folder}: {len(stored)} tensors loaded by PEFT")
    return model


def read_sequences(options, vocabulary):
    """Ids from --sequences (a JSON list of lists, or an object with that list), from --text, or random ones."""
    if options.sequences:
        value = json.loads(options.sequences.read_text())
        return value["sequences"] if isinstance(value, dict) else value
    if options.text:
        tokenizer = load_tokenizer(options.base)
        return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in options.text]
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, vocabulary, (n,), generator=generator).tolist() for n in (9, 4, 17)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="model folder or GGUF file")
    parser.add_argument("--adapter", type=Path, required=True, help="folder with adapter_config.json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sequences", type=Path, help="JSON file with lists of ids")
    parser.add_argument("--text", nargs="*", help="texts for the tokenizer of the base model")
    parser.add_argument("--last-row", action="store_true", help="write the last position's logits only")
    parser.add_argument("--double", action="store_true", help="compute in float64, where rounding does not show")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    model = load_strictly(load_model(options.base), options.adapter)
    if options.double:
        model = model.double()
    rows = read_sequences(options, model.config.vocab_size)

    def collect(name, source):
        # Of the tokens: a prompt has rows of its own in front.
        found = [logits(source, row)[-len(row):] for row in rows]
        return {f"{name}.{n}": value[-1:] if options.last_row else value for n, value in enumerate(found)}

    tensors = collect("logits", model)
    with model.disable_adapter():
        tensors |= collect("base", model)
    # Prompts are no weights that could be merged.
    is_prompt = model.active_peft_config.is_prompt_learning
    if not is_prompt:
        tensors |= collect("merged", model.merge_and_unload())
    write_tensors(options.out / "expected.safetensors", tensors)
    write_json(options.out / "expected.json", {
        "adapter": str(options.adapter.resolve()), "sequences": rows, "lastRowOnly": options.last_row})
    for n in range(len(rows)):
        effect, merge = (tensors[f"{key}.{n}"].sub(tensors[f"logits.{n}"]).abs().max()
                         for key in ("base", "logits" if is_prompt else "merged"))
        print(f"sequence {n}: {len(rows[n])} ids, the adapter moves logits by {effect:.3g}, merging by {merge:.3g}")


if __name__ == "__main__":
    main()
