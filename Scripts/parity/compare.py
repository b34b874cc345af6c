"""Compares two safetensors files tensor by tensor: largest differences and how many values agree in every bit.

A value passes when |ours - expected| <= --absolute + --relative * largest |expected| of its tensor. Exits with 1 when
a value does not pass (NaN never does), when shapes differ, or when names differ (unless --common).
"""

import argparse
import sys

import torch
from safetensors.torch import load_file

PATTERN = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def identical_bits(a, b):
    """How many values agree in every bit; none when the types differ."""
    if a.dtype != b.dtype:
        return 0
    view = PATTERN[a.element_size()]
    return int((a.view(view) == b.view(view)).sum())


def compare(name, ours, expected, options):
    """One line about one tensor, whether it passes, and its counts of identical and of all values."""
    if ours.shape != expected.shape:
        line = f"{name}: shape {tuple(ours.shape)}, expected {tuple(expected.shape)}  FAILED"
        return line, False, 0, expected.numel()
    a, b = ours.double(), expected.double()
    # Equal infinities agree; their difference would be NaN.
    difference = torch.where(a == b, 0.0, (a - b).abs())
    finite = b.abs()[torch.isfinite(b)]
    scale = finite.max().item() if finite.numel() else 0.0
    worst = difference.max().item() if difference.numel() else 0.0
    passed = bool((difference <= options.absolute + options.relative * scale).all())
    same = identical_bits(ours.contiguous(), expected.contiguous())
    relative = worst / scale if scale else worst
    line = f"{name}: max abs {worst:.3g}, max relative {relative:.3g}, identical {same}/{expected.numel()}"
    return line + ("" if passed else "  FAILED"), passed, same, expected.numel()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("expected")
    parser.add_argument("--absolute", type=float, default=1e-5)
    parser.add_argument("--relative", type=float, default=0.0, help="times the largest magnitude of a tensor")
    parser.add_argument("--common", action="store_true", help="compare the names that both files have")
    parser.add_argument("--only", default="", help="compare names with this prefix")
    parser.add_argument("--quiet", action="store_true", help="print failures and the summary alone")
    options = parser.parse_args()

    files = [{key: value for key, value in load_file(path).items() if key.startswith(options.only)}
             for path in (options.ours, options.expected)]
    failures = 0
    if not options.common:
        for name in sorted(files[0].keys() ^ files[1].keys()):
            print(f"{name}: only in {options.ours if name in files[0] else options.expected}  FAILED")
            failures += 1
    shared = sorted(files[0].keys() & files[1].keys())
    same = count = 0
    for name in shared:
        line, passed, identical, values = compare(name, files[0][name], files[1][name], options)
        same, count, failures = same + identical, count + values, failures + (not passed)
        if not (passed and options.quiet):
            print(line)
    print(f"{len(shared)} tensors, {same}/{count} values identical, {failures} failures")
    sys.exit(1 if failures or not shared else 0)


if __name__ == "__main__":
    main()
