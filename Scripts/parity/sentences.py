"""What transformers makes of pairs of sentences with a real sentence encoder, to be compared with Apus.

Reads a folder of sentence-transformers that averages tokens and normalises, and STS-B's `sts-dev.csv`. Writes to --out
`expected.json` (ids of both sentences of each pair, score, Spearman's correlation of the cosines with the scores) and
`expected.safetensors` (`first` and `second`, the vectors). With sentence-transformers installed, its vectors are
compared too.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from oracle import write_json, write_tensors
from scipy.stats import spearmanr
from transformers import AutoModel, AutoTokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="sts-dev.csv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    rows = [line.rstrip("\n").split("\t") for line in options.data.read_text().splitlines()]
    rows = [(row[5], row[6], float(row[4])) for row in rows if len(row) >= 7]
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModel.from_pretrained(options.model, dtype=torch.float32).eval()
    length = json.loads((options.model / "sentence_bert_config.json").read_text())["max_seq_length"]

    @torch.no_grad()
    def vectors(texts):
        found = []
        for start in range(0, len(texts), 64):
            batch = tokenizer(texts[start:start + 64], padding=True, truncation=True, max_length=length,
                              return_tensors="pt")
            mask = batch["attention_mask"].unsqueeze(-1).float()
            found.append(F.normalize((model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)))
        return torch.cat(found)

    first, second = vectors([row[0] for row in rows]), vectors([row[1] for row in rows])
    spearman = float(spearmanr([row[2] for row in rows], F.cosine_similarity(first, second).tolist())[0])
    report = {"pairs": len(rows), "spearman": spearman}
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        pass
    else:
        theirs = SentenceTransformer(str(options.model), device="cpu").encode(
            [row[0] for row in rows], convert_to_tensor=True)
        report["sentence_transformers"] = (theirs - first).abs().max().item()
    print(json.dumps(report))
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "expected.json", report | {
        "rows": [[tokenizer(row[0], truncation=True, max_length=length)["input_ids"],
                  tokenizer(row[1], truncation=True, max_length=length)["input_ids"], row[2]] for row in rows]})
    write_tensors(options.out / "expected.safetensors", {"first": first, "second": second})


if __name__ == "__main__":
    main()
