#!/usr/bin/env python3
"""Makes random small tokenizer folders and encodes texts with the tokenizer that `AutoTokenizer` makes of each.

usage: tokenizer_folders.py OUTPUT.json [--count N] [--also NUMBER …] [--seed S] [--manifest] [--pieces]

A case is a tokenizer (of bytes, of word pieces, of pieces with "▁"), with or without a `tokenizer.json`, under a class and a
model type, with the keys that a class may read. The output holds the files of each, what it encodes texts and pairs to,
and the names of its special tokens. Folders that `AutoTokenizer` refuses, or makes an empty tokenizer of, are left out and counted.
--also keeps folders of higher numbers too: those that once were read wrongly.
--pieces makes Unigram tokenizers and folders with a SentencePiece model, which is written in Base64.
`Tests/Fixtures/tokenizers/folders.json` is made with --count 60 --also 305 1182 --manifest, `pieces/folders.json` beside it with --seed 2 --pieces too.
"""

import argparse
import base64
import hashlib
import json
import os
import random
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="critical")

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

NAMED = ["<s>", "</s>", "<unk>", "<pad>", "<mask>", "<|endoftext|>", "<|im_start|>", "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
TEXTS = ["the Cat don't", "  the  the", "Élan, é 123", "", "don<|im_start|> the</s>the", "你the Å [MASK] <mask>", "a <x>b THE", "▁the ▁"]
PAIRS = [("the", "Cat"), ("", "the the"), ("é<s>", " don 12")]
CLASSES = ["PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend", "Qwen2Tokenizer", "GPT2Tokenizer", "LlamaTokenizer",
           "RobertaTokenizer", "BertTokenizer", "GemmaTokenizer", "Qwen3_5Tokenizer", "GPTNeoXTokenizer", "CohereTokenizer",
           "DistilBertTokenizer", "ElectraTokenizer", "ConvBertTokenizer", "MPNetTokenizer", "DebertaTokenizer", "BartTokenizer",
           "FunnelTokenizer", "BlenderbotTokenizer", "NoSuchTokenizer"]
BYTES = ["PreTrainedTokenizer", "Qwen2Tokenizer", "GPT2Tokenizer", "RobertaTokenizer", "Qwen3_5Tokenizer", "GPTNeoXTokenizer", "LlamaTokenizer",
         "CohereTokenizer", "DebertaTokenizer", "BartTokenizer", "BlenderbotTokenizer"]
WORDS = ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "ConvBertTokenizer", "MPNetTokenizer", "FunnelTokenizer", "PreTrainedTokenizer"]
PIECES = ["LlamaTokenizer", "GemmaTokenizer", "PreTrainedTokenizer"]
UNIGRAM = ["T5Tokenizer", "AlbertTokenizer", "XLMRobertaTokenizer", "CamembertTokenizer", "DebertaV2Tokenizer", "XLNetTokenizer",
           "BigBirdTokenizer", "RemBertTokenizer", "PreTrainedTokenizer"]
FILES = {"T5Tokenizer": "spiece.model", "AlbertTokenizer": "spiece.model", "XLMRobertaTokenizer": "sentencepiece.bpe.model", "CamembertTokenizer": "sentencepiece.bpe.model",
         "DebertaV2Tokenizer": "spm.model", "XLNetTokenizer": "spiece.model", "BigBirdTokenizer": "spiece.model", "RemBertTokenizer": "sentencepiece.model"}
TYPES = ["qwen2", "qwen3", "llama", "mistral", "bert", "roberta", "gpt2", "gemma2", "modernbert", "distilbert", "gpt_neox", "olmo2", "qwen3_5_text"]


def join(merges):
    return [m.replace(" ", "") for m in merges]


class Folders:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def maybe(self, probability=0.5):
        return self.random.random() < probability

    def pick(self, *options):
        return self.random.choice(options)

    def bytes(self):
        merges = ["Ġ t", "h e", "Ġt he", "t he", "Ã ©", "d o", "do n", "Ġ don", "1 2", "Ġ Ġ", "C a", "Ca t", "Ġ Cat"]
        tokens = [*NAMED, *sorted(pre_tokenizers.ByteLevel.alphabet()), *join(merges)]
        vocab = {t: i for i, t in enumerate(tokens)}
        tokenizer = Tokenizer(models.BPE(vocab, [tuple(m.split()) for m in merges], ignore_merges=self.maybe(0.2)))
        split = pre_tokenizers.Split(r"\p{N}", "isolated") if self.maybe(0.3) else None
        level = pre_tokenizers.ByteLevel(add_prefix_space=self.maybe(0.3), use_regex=self.maybe(0.8))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level]) if split else level
        tokenizer.normalizer = self.pick(None, normalizers.NFC(), normalizers.Lowercase())
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer, {"vocab.json": json.dumps(vocab), "merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n"}

    def words(self):
        tokens = [*NAMED, *"abcdehnot123É,.'é你", *("##" + c for c in "aehnot123é'"), "the", "Cat", "cat", "don", "##don", "elan", "Élan", "THE"]
        vocab = {t: i for i, t in enumerate(dict.fromkeys(tokens))}
        tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=self.pick(100, 3)))
        tokenizer.normalizer = normalizers.BertNormalizer(
            lowercase=self.maybe(), strip_accents=self.pick(None, True, False), handle_chinese_chars=self.maybe(), clean_text=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        return tokenizer, {"vocab.txt": "\n".join(vocab) + "\n"}

    def pieces(self):
        merges = ["▁ t", "h e", "▁t he", "t he", "▁ ▁", "d o", "do n", "C a", "Ca t", "▁ Cat"]
        tokens = [*NAMED, *(f"<0x{b:02X}>" for b in range(256)), *"▁abcdehnotCTHE123é'", *join(merges)]
        vocab = {t: i for i, t in enumerate(tokens)}
        tokenizer = Tokenizer(models.BPE(
            vocab, [tuple(m.split()) for m in merges], fuse_unk=self.maybe(), byte_fallback=self.maybe(0.7), unk_token="<unk>"))
        kind = self.random.randrange(3)
        if kind == 0:
            tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        elif kind == 1:
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
                replacement="▁", prepend_scheme=self.pick("first", "always", "never"), split=self.maybe())
        else:
            tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.decoder = self.pick(
            decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
            decoders.Metaspace(prepend_scheme=self.pick("first", "always", "never")))
        return tokenizer, {}

    def flags(self):
        return {"lstrip": self.maybe(0.3), "rstrip": self.maybe(0.2), "normalized": self.maybe(0.3), "single_word": self.maybe(0.1)}

    def post_processor(self, tokenizer):
        first, last = self.random.sample(NAMED, 2)
        ids = [(first, tokenizer.token_to_id(first)), (last, tokenizer.token_to_id(last))]
        kind = self.random.randrange(7)
        if kind == 0:
            return None
        if kind == 1:
            return processors.ByteLevel()
        if kind == 2:
            return processors.RobertaProcessing(ids[1], ids[0])
        if kind == 3:
            return processors.BertProcessing(ids[1], ids[0])
        single = self.pick(f"{first} $A {last}", f"$A {last}", f"{first} $A")
        return processors.TemplateProcessing(single=single, pair=single + " " + single.replace("$A", "$B:1"), special_tokens=ids)

    def config(self, tokenizer, is_bare):
        def chosen(key, *values, probability=0.35):
            if self.maybe(probability):
                config[key] = self.pick(*values)

        config = {}
        for key in ("add_bos_token", "add_eos_token", "add_prefix_space", "do_lower_case", "tokenize_chinese_chars"):
            chosen(key, True, False)
        chosen("strip_accents", True, False, None)
        chosen("legacy", True, False, None, probability=0.2)
        chosen("split_special_tokens", True, False, probability=0.1)
        chosen("clean_up_tokenization_spaces", True, False, probability=0.2)
        chosen("trim_offsets", True, False, probability=0.1)
        for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
            name = self.pick(*NAMED, *NAMED, "<new>", "<|new|>")
            value = {"__type": "AddedToken", "content": name, **self.flags()} if self.maybe(0.2) else name
            chosen(role + "_token", value, value, value, None, probability=0.3)
        chosen("image_token", "<image>", probability=0.15)
        chosen("extra_special_tokens", ["<x>", "<y>"], {"video_token": "<video>"}, [], probability=0.15)
        chosen("additional_special_tokens", ["<x>", "<|im_start|>"], probability=0.2)
        if self.maybe(0.35):
            names = [*self.random.sample(NAMED, 4), "<x>", "<z>"]
            known = {n: i for n in names if (i := tokenizer.token_to_id(n)) is not None}
            start = tokenizer.get_vocab_size()
            ids = {n: known.get(n, start + k) for k, n in enumerate(names)}
            config["added_tokens_decoder"] = {
                str(i): {"content": n, **self.flags(), "special": self.maybe(0.7)} for n, i in ids.items()}
        return config

    def make(self):
        kind, classes = self.pick((self.bytes, BYTES), (self.bytes, BYTES), (self.words, WORDS), (self.pieces, PIECES))
        tokenizer, bare = kind()
        tokenizer.post_processor = self.post_processor(tokenizer)
        for name in self.random.sample(NAMED, self.random.randint(0, 9)):
            tokenizer.add_tokens([AddedToken(name, special=self.maybe(0.8), **self.flags())])
        if self.maybe(0.3):
            tokenizer.add_tokens([AddedToken("<x>", special=self.maybe(), **self.flags())])
        if self.maybe(0.1):
            tokenizer.enable_padding(pad_token="<pad>", pad_id=tokenizer.token_to_id("<pad>"))
        if self.maybe(0.1):
            tokenizer.enable_truncation(4)
        is_bare = bool(bare) and self.maybe(0.2)
        files = dict(bare) if is_bare else {"tokenizer.json": tokenizer.to_str()}
        config = self.config(tokenizer, is_bare)
        if self.maybe(0.85):
            name = self.pick(*classes) if self.maybe(0.85) else self.pick(*CLASSES)
            config["tokenizer_class"] = name + self.pick("", "Fast" if not name.endswith(("Fast", "Backend")) else "")
        if self.maybe(0.9):
            files["tokenizer_config.json"] = json.dumps(config)
        if self.maybe(0.15):
            roles = {r + "_token": self.pick(*NAMED, "<new>") for r in self.random.sample(["bos", "eos", "cls", "sep", "mask"], 2)}
            if self.maybe(0.3):
                roles["pad_token"] = {"content": self.pick(*NAMED), **self.flags()}
            files["special_tokens_map.json"] = json.dumps(roles)
        if self.maybe(0.1):
            size = tokenizer.get_vocab_size()
            files["added_tokens.json"] = json.dumps({"<x>": size, "<z>": size + 1})
        if self.maybe(0.4):
            values = {"model_type": self.pick(*TYPES)}
            if self.maybe(0.15):
                values["tokenizer_class"] = self.pick(*classes)
            files["config.json"] = json.dumps(values)
        return files


class PieceFolders(Folders):
    """Unigram tokenizers under their classes, and models of SentencePiece."""

    WORDS = ["▁", "▁the", "the", "▁Cat", "▁cat", "▁don", "'t", "Élan", "élan", "e", "é", "▁▁", "d", "o", "n", "C", "c", "a", "t", "h", "1", "2", "3", ",", "THE", "you", "x", ">", "<", "b"]

    def scored(self):
        names = self.random.sample(NAMED, self.random.randint(3, len(NAMED)))
        return [(name, 0.0) for name in names] + [(word, -self.random.randint(1, 40) / 4) for word in self.random.sample(self.WORDS, 24)]

    def unigram(self):
        vocabulary = self.scored()
        tokenizer = Tokenizer(models.Unigram(vocabulary, self.random.randrange(4), False))
        steps = [self.pick(normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()), *([normalizers.Replace("``", '"')] if self.maybe(0.3) else [])]
        tokenizer.normalizer = self.pick(None, normalizers.Sequence(steps))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=self.pick("first", "always", "never"), split=self.maybe())
        tokenizer.decoder = decoders.Metaspace(prepend_scheme=self.pick("first", "always", "never"))
        known = [name for name, _ in vocabulary if name in NAMED]
        first, last = self.random.sample(known, 2)
        ids = [(first, tokenizer.token_to_id(first)), (last, tokenizer.token_to_id(last))]
        if self.maybe(0.6):
            tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", pair=f"{first} $A {last} $B:1", special_tokens=ids)
        for name in self.random.sample(known, self.random.randint(0, 3)):
            tokenizer.add_tokens([AddedToken(name, special=self.maybe(0.8), **self.flags())])
        return tokenizer

    def model(self, is_unigram):
        from sentencepiece import sentencepiece_model_pb2

        proto = sentencepiece_model_pb2.ModelProto()
        pieces = self.scored()
        if not is_unigram:
            pieces += [(f"<0x{byte:02X}>", 0.0) for byte in range(256)]
        unknown = self.random.randrange(3)
        for number, (text, score) in enumerate(pieces):
            piece = proto.pieces.add(piece=text, score=score)
            piece.type = 2 if number == unknown else 6 if text.startswith("<0x") else 3 if text in NAMED else 4 if self.maybe(0.1) else 1
        spec = proto.trainer_spec
        spec.model_type, spec.byte_fallback = 1 if is_unigram else 2, not is_unigram and self.maybe(0.8)
        spec.unk_id, spec.unk_piece = unknown, pieces[unknown][0]
        spec.bos_id, spec.eos_id = self.pick(-1, 0, 1), self.pick(-1, 1, 2)
        spec.bos_piece, spec.eos_piece = pieces[spec.bos_id][0], pieces[spec.eos_id][0]
        for key in ("add_dummy_prefix", "remove_extra_whitespaces", "escape_whitespaces"):
            setattr(proto.normalizer_spec, key, self.maybe(0.8))
        return proto.SerializeToString()

    def make(self):
        is_model = self.maybe(0.6)
        is_unigram = not is_model or self.maybe(0.6)
        name = self.pick(*UNIGRAM) if is_unigram else self.pick("LlamaTokenizer", "GemmaTokenizer", "PreTrainedTokenizer", "NoSuchTokenizer")
        if is_model:
            tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0)], 0, False))
            files = {FILES.get(name, "tokenizer.model"): self.model(is_unigram)}
        else:
            tokenizer = self.unigram()
            files = {"tokenizer.json": tokenizer.to_str()}
        config = {"tokenizer_class": name + self.pick("", "", "Fast")} | self.config(tokenizer, is_model)
        if is_model:
            size = 300 if is_unigram else 600
            config.get("added_tokens_decoder", {}).clear() if self.maybe() else config.pop("added_tokens_decoder", None)
            if self.maybe(0.2):
                config["added_tokens_decoder"] = {str(number): {"content": self.pick(*NAMED, f"<{number}>"), **self.flags(), "special": self.maybe()} for number in (0, 2, 5, size)}
        for key, values in {"keep_accents": [True, False], "split_by_punct": [True], "unk_id": [0, 1], "extra_ids": [0, 2, 3]}.items():
            if self.maybe(0.2):
                config[key] = self.pick(*values)
        files["tokenizer_config.json"] = json.dumps(config)
        if self.maybe(0.15):
            files["special_tokens_map.json"] = json.dumps({self.pick("bos", "cls", "mask") + "_token": self.pick(*NAMED, "<new>"), "additional_special_tokens": ["<x>"]})
        if self.maybe(0.1) and is_model:
            files["added_tokens.json"] = json.dumps({"<z>": 700, "<x>": 701})
        return files


def answer(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        tokenizer = AutoTokenizer.from_pretrained(folder)
    if "Bert" in type(tokenizer).__name__ and tokenizer.unk_token not in tokenizer.get_vocab():
        raise ValueError("unknown token")
    if tokenizer.vocab_size < 20:
        raise ValueError("empty vocabulary")
    backend = tokenizer.backend_tokenizer
    result = {"ids": [tokenizer.encode(text) for text in TEXTS], "pairs": [], "class": type(tokenizer).__name__}
    backend.no_truncation()
    backend.no_padding()
    for first, second in PAIRS:
        encoding = backend.encode(first, second)
        result["pairs"].append([encoding.ids, encoding.type_ids])
    result["named"] = tokenizer.special_tokens_map
    result["size"] = len(tokenizer)
    result["decoded"] = [tokenizer.decode(ids) for ids in result["ids"]]
    result["plain"] = [tokenizer.decode(ids, skip_special_tokens=True) for ids in result["ids"]]
    return result


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("output")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--also", type=int, nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--manifest", action="store_true")
    parser.add_argument("--pieces", action="store_true")
    arguments = parser.parse_args()
    folders = (PieceFolders if arguments.pieces else Folders)(arguments.seed)
    cases, refused = [], {}
    while len(cases) < max([arguments.count, *(number + 1 for number in arguments.also)]):
        files = folders.make()
        try:
            written = {name: base64.b64encode(data).decode() if isinstance(data, bytes) else data for name, data in files.items()}
            cases.append({"files": written, **answer(files)})
        except (Exception, BaseException) as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            key = re.sub(r"['\"].*", "", str(error))[:60]
            refused[key] = refused.get(key, 0) + 1
    cases = [case for number, case in enumerate(cases) if number < arguments.count or number in arguments.also]
    output = Path(arguments.output)
    content = {"texts": TEXTS, "pairs": PAIRS, "cases": cases}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(content, ensure_ascii=True, separators=(",", ":")) + "\n")
    if arguments.manifest:
        manifest = {
            "made_by": "Scripts/parity/tokenizer_folders.py", "seed": arguments.seed,
            "versions": {name: version(name) for name in ("tokenizers", "transformers")},
            "sha256": {output.name: hashlib.sha256(output.read_bytes()).hexdigest()}}
        (output.parent / "MANIFEST.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(f"{len(cases)} folders, {sum(refused.values())} refused: {refused}")


if __name__ == "__main__":
    main()
