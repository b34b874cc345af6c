"""What the methods of fine-tuning cost and what they bring: the same model, data and steps for each.

usage: Benchmarks/tuners.py APUS MODEL DATA OUT [--steps 30] [--batch 8] [--rate-scale 1] [--only METHOD …] [--title TEXT]
                                                  [--peer PYTHON] [--precision bf16] [--limit 600] [--turns 1]

With --peer PYTHON (the interpreter that Scripts/parity/environment prints) PEFT trains each method right after Apus, on the
same rows in the same order, by the adapter_config.json that Apus wrote; MODEL is a folder then, and DATA an Alpaca file
(FILE.json#ROWS). Its column holds "> N s" where it had not ended within --limit seconds, and "–" where PEFT has no such method.

Writes OUT.md, a table of method × {trained parameters, loss on held-out rows, seconds a step, peak memory, checkpoint},
and OUT.svg, held-out loss against trained parameters. Let nothing else run.
"""

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# method: the rate that suits it, and its words; of the steps of a run a sixth and a third
METHODS = {
    "full": (2e-5, "--tuner_type full"),
    "lora": (4e-4, "--tuner_type lora"),
    "dora": (4e-4, "--tuner_type lora --use_dora true"),
    "rslora": (2e-4, "--tuner_type lora --use_rslora true"),
    "lora+": (2e-4, "--tuner_type lora --lorap_lr_ratio 16"),
    "adalora": (1e-3, "--tuner_type adalora --adalora_tinit {sixth} --adalora_tfinal {third}"),
    "ia3": (5e-3, "--tuner_type ia3"),
    "adapter": (4e-4, "--tuner_type adapter --adapter_length 32"),
    "prompt tuning": (2e-2, "--tuner_type prompt_tuning"),
    "p-tuning": (1e-3, "--tuner_type p_tuning"),
    "prefix tuning": (1e-2, "--tuner_type prefix_tuning"),
    "vera": (5e-3, "--tuner_type vera"),
    "lokr": (1e-3, "--tuner_type lokr"),
    "oft": (5e-4, "--tuner_type oft"),
    "qlora": (4e-4, "--tuner_type lora --quant_method bnb --quant_bits 4"),
    "lisa": (2e-5, "--tuner_type full --lisa_activated_layers 4 --lisa_step_interval 5"),
    "galore": (4e-5, "--tuner_type full --use_galore true --galore_update_proj_gap 10"),
}

# What PEFT does not have; LoRA+ and rsLoRA are LoRA but for numbers.
WITHOUT_PEER = ["adapter", "lisa", "galore", "lora+"]
HERE = Path(__file__).resolve().parent


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def run(options, name, rate, words, folder):
    command = [options.apus, "sft", "--model", options.model, "--dataset", options.data, "--split_dataset_ratio",
               str(options.split), "--max_steps", str(options.steps), "--per_device_train_batch_size", str(options.batch),
               "--gradient_accumulation_steps", "1", "--eval_strategy", "no" if options.split == 0 else "steps",
               "--eval_steps", str(options.steps), "--save_steps", str(options.steps), "--save_only_model", "true",
               "--logging_steps", "1", "--learning_rate", str(rate), "--max_length", "512", "--output_dir", str(folder),
               "--add_version", "false", "--disable_tqdm", "true", "--device", "cpu", *words.split(), *options.more]
    if options.peer:
        command += ["--train_dataloader_shuffle", "false", "--dataset_shuffle", "false"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}", file=sys.stderr)
        return None
    said = done.stdout + done.stderr
    log = rows(folder / "logging.jsonl")
    times = [float(row["train_speed(s/it)"]) for row in log if "train_speed(s/it)" in row]
    checkpoint = folder / f"checkpoint-{options.steps}"
    losses = [row["eval_loss"] for row in log if "eval_loss" in row]
    weights = sum(f.stat().st_size for f in checkpoint.rglob("*.safetensors"))
    trained = int(re.search(r"trainable params: ([\d,]+)", said)[1].replace(",", ""))
    peak = re.search(r"memory peak: (\S+)", said)[1]
    return {"name": name, "trained": trained, "loss": losses[-1] if losses else math.nan, "first": log[0]["loss"],
            "seconds": times[-1] if times else math.nan, "peak": peak, "bytes": weights}


def tokens_of(options):
    """The tokens of the steps together, of the rows in their order, and the file of those rows."""
    file, _, count = options.data.partition("#")
    data = options.out.with_suffix(".rows.json")
    subprocess.run([options.peer, HERE / "peers" / "make_data.py", "--tokenizer", options.model, "--alpaca", file, "--rows",
                    count or "200", "--out", data], check=True, capture_output=True)
    lengths = [len(row["ids"]) for row in json.loads(data.read_text())]
    used = [lengths[i % len(lengths)] for i in range(options.steps * options.batch)]
    return sum(used), data


def run_peer(options, name, rate, data, configuration, scratch):
    """The same for PEFT; None where it has no such method, a text where it did not end."""
    if name in WITHOUT_PEER:
        return None
    command = [options.peer, HERE / "peers" / "hf_peft.py", "--model", options.model, "--data", data, "--steps",
               str(options.steps), "--warmup", "0", "--batch", str(options.batch), "--precision", options.precision,
               "--learning-rate", str(rate), "--save", scratch / "peer"]
    command += ["--full"] if name == "full" else ["--method", configuration]
    command += ["--quantize", "nf4"] if name == "qlora" else []
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=options.limit)
    except subprocess.TimeoutExpired:
        return f"> {options.limit:g} s"
    if done.returncode:
        print(f"{name}, PEFT: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return "failed"
    said = json.loads(done.stdout)
    weights = sum(f.stat().st_size for f in (scratch / "peer").rglob("*.safetensors"))
    return {"trained": said["trainableParameters"], "seconds": sum(said["stepSeconds"]) / options.steps,
            "peak": size(said["peakMemoryMiB"] * 1024 ** 2), "bytes": weights}


def beside_peer(results, tokens, steps):
    """The table of both, from the turn of each that was the fastest."""
    lines = ["| method | trained parameters, PEFT's | tokens/s, PEFT's | ratio | peak memory, PEFT's | checkpoint, PEFT's |",
             "|---|---|---|---|---|---|"]
    for name in dict.fromkeys(r["name"] for r in results):
        own = min((r for r in results if r["name"] == name), key=lambda r: r["seconds"])
        peers = [r["peer"] for r in results if r["name"] == name]
        ran = [p for p in peers if isinstance(p, dict)]
        speed = tokens / steps / own["seconds"]
        if ran:
            peer = min(ran, key=lambda p: p["seconds"])
            theirs = tokens / steps / peer["seconds"]
            cells = [f"{own['trained']:,}, {peer['trained']:,}", f"{speed:.1f}, {theirs:.1f}", f"{speed / theirs:.2f}",
                     f"{own['peak']}, {peer['peak']}", f"{size(own['bytes'])}, {size(peer['bytes'])}"]
        else:
            why = peers[0] or "–"
            cells = [f"{own['trained']:,}, –", f"{speed:.1f}, {why}", "–", f"{own['peak']}, –", f"{size(own['bytes'])}, –"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def size(count):
    for unit in ["B", "KiB", "MiB"]:
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def chart(results, title):
    """Loss against the logarithm of the trained parameters, as SVG."""
    width, height, left, bottom, right, top = 820, 460, 70, 60, 30, 50
    xs = [math.log10(r["trained"]) for r in results]
    ys = [r["loss"] for r in results]
    x0, x1 = math.floor(min(xs)), math.ceil(max(xs))
    margin = (max(ys) - min(ys)) * 0.12 + 1e-9
    y0, y1 = min(ys) - margin, max(ys) + margin
    def px(x): return left + (x - x0) / (x1 - x0) * (width - left - right)
    def py(y): return height - bottom - (y - y0) / (y1 - y0) * (height - bottom - top)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{width / 2}" y="26" text-anchor="middle" font-size="16">{title}</text>']
    for exponent in range(x0, x1 + 1):
        out += [f'<line x1="{px(exponent)}" y1="{top}" x2="{px(exponent)}" y2="{height - bottom}" stroke="#ddd"/>',
                f'<text x="{px(exponent)}" y="{height - bottom + 20}" text-anchor="middle">10<tspan dy="-5" font-size="10">'
                f'{exponent}</tspan></text>']
    for step in range(6):
        y = y0 + (y1 - y0) * step / 5
        out += [f'<line x1="{left}" y1="{py(y)}" x2="{width - right}" y2="{py(y)}" stroke="#ddd"/>',
                f'<text x="{left - 8}" y="{py(y) + 4}" text-anchor="end">{y:.3f}</text>']
    out += [f'<text x="{(left + width - right) / 2}" y="{height - 14}" text-anchor="middle">trained parameters</text>',
            f'<text transform="translate(18 {height / 2}) rotate(-90)" text-anchor="middle">loss on held-out rows</text>']
    placed = []
    for r, x, y in sorted(zip(results, xs, ys), key=lambda item: item[2]):
        cx, cy = px(x), py(y)
        # A label goes where it touches none before it: beside its point, above or below.
        w = 7.2 * len(r["name"])
        spots = [(cx + 8, cy + 4), (cx - 8 - w, cy + 4), (cx - w / 2, cy - 9), (cx - w / 2, cy + 18),
                 (cx + 8, cy - 10), (cx + 8, cy + 18), (cx - 8 - w, cy - 10), (cx - 8 - w, cy + 18),
                 (cx - w / 2, cy + 32), (cx - w / 2, cy - 23)]
        free = [s for s in spots if s[0] >= left and s[0] + w <= width - 4
                and all(abs(s[1] - b) > 13 or s[0] + w < a or a + v < s[0] for a, b, v in placed)]
        lx, ly = (free or spots)[0]
        placed += [(lx, ly, w), (cx - 5, cy + 4, 10)]
        out += [f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="4.5" fill="#1f6fb2"/>',
                f'<text x="{lx:.1f}" y="{ly:.1f}">{r["name"]}</text>']
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("apus")
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--split", type=float, default=0.06)
    parser.add_argument("--only", nargs="*", default=list(METHODS))
    parser.add_argument("--title", default="Held-out loss after equal steps")
    parser.add_argument("--peer", help="the Python that has PEFT: it trains each method too")
    parser.add_argument("--precision", choices=["bf16", "bf16-autocast", "fp32"], default="bf16", help="PEFT's")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which PEFT's run of a method is ended")
    parser.add_argument("--turns", type=int, default=1, help="how often each method is run by both, in turns")
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="further words for apus sft")
    options = parser.parse_args()
    if options.peer and options.split:
        parser.error("--peer compares costs alone: give --split 0")
    tokens, data = tokens_of(options) if options.peer else (0, None)
    results = []
    for name in options.only * options.turns:
        rate, words = METHODS[name]
        words = words.format(sixth=options.steps // 6, third=options.steps // 3)
        scratch = Path(tempfile.mkdtemp())
        result = run(options, name, rate, words, scratch / "run")
        if result and options.peer:
            result["peer"] = run_peer(
                options, name, rate, data, scratch / "run" / f"checkpoint-{options.steps}", scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        if result:
            results.append({**result, "rate": rate})
            print(results[-1], flush=True)
    base = next((r["seconds"] for r in results if r["name"] == "lora"), math.nan)
    lines = ["| method | trained parameters | rate | held-out loss | seconds a step | speed beside LoRA | peak memory | checkpoint |",
             "|---|---|---|---|---|---|---|---|"]
    for r in results:
        lines.append(f"| {r['name']} | {r['trained']:,} | {r['rate']:g} | {'–' if math.isnan(r['loss']) else format(r['loss'], '.3f')} | {r['seconds']:.2f} | "
                     f"{base / r['seconds']:.2f} | {r['peak']} | {size(r['bytes'])} |")
    if options.peer:
        data.unlink()
        lines += ["", *beside_peer(results, tokens, options.steps)]
    options.out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    shown = [r for r in results if not math.isnan(r["loss"])]
    if shown:
        options.out.with_suffix(".svg").write_text(chart(shown, options.title))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
