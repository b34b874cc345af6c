"""The peer of DecodeBench: greedy answers by transformers, of the same shape, prompts and lengths.

    hf_decode.py --model FOLDER [--precision bf16|fp32] [--batch 1] [--prompt 128] [--tokens 32]

FOLDER needs a config.json alone; the weights are random. Prints one JSON object: the least milliseconds of a step after the
prompt, of four runs, and tokens per second.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--prompt", type=int, default=128, help="tokens of each prompt")
    parser.add_argument("--tokens", type=int, default=32, help="tokens of each answer")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS=str(options.threads), HF_HUB_OFFLINE="1")
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(options.threads)
    torch.manual_seed(42)
    transformers.logging.set_verbosity_error()
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_config(
        AutoConfig.from_pretrained(options.model), dtype=dtype, attn_implementation="sdpa").eval()
    prompts = torch.tensor([[(place * 7919 + row * 104729) % 150_000 for place in range(options.prompt)]
                            for row in range(options.batch)])

    class Clock:
        """Told each token: the prompt ends with the first."""

        def __init__(self):
            self.times = []

        def __call__(self, ids, scores, **_):
            self.times.append(time.perf_counter())
            return torch.zeros(len(ids), dtype=torch.bool)

    steps = []
    for _ in range(4):
        clock = Clock()
        with torch.inference_mode():
            model.generate(
                prompts, attention_mask=torch.ones_like(prompts), do_sample=False, max_new_tokens=options.tokens,
                min_new_tokens=options.tokens, pad_token_id=0,
                stopping_criteria=transformers.StoppingCriteriaList([clock]))
        steps.append((clock.times[-1] - clock.times[0]) / (len(clock.times) - 1))
    json.dump({"peer": "transformers", "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
               "precision": options.precision, "batch": options.batch, "step_milliseconds": min(steps) * 1000,
               "tokens_per_second": options.batch / min(steps)}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
