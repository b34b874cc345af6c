#!/usr/bin/env python3
"""Write what PyPI `tokenizers` makes of random and adversarial texts, one JSON object a line.

usage: tokenizer_vectors.py TOKENIZER OUTPUT [--count N] [--seed S] [--text FILE …] [--small] [--lines] [--scalars]
                            [--kind gpt2|qwen2|roberta|auto] [--save FOLDER] [--encoder] [--languages]

TOKENIZER is a folder with tokenizer.json (or vocab.json and merges.txt, or vocab.txt) or a GGUF file of a byte-level
model.
Rows: {"text", "ids", "decoded", "plain"}: `encode`, `decode` of those ids, and with the special tokens skipped.
--encoder makes texts for the tokenizers of encoders, half of them pairs; rows then have "segments" as well, and where
there is one "pair" and "limit", the length for `enable_truncation`.
--kind says how to split text where there is no tokenizer.json; --kind roberta and vocab.txt ask `transformers`, and --kind auto
takes what `AutoTokenizer` makes of the folder. --languages mixes sentences of ten languages in. --text mixes lines of real text in, --lines takes all
of them and nothing else, --scalars all assigned Unicode scalars in several surroundings. --save writes the
tokenizer.json that was used, for a GGUF file its vocabulary as gguf.json, and with --encoder the files of the model. --small keeps texts short.
Prints the speed of `tokenizers` on the same texts, per second of one thread's processor time.
"""
import argparse
import json
import os
import random
import time
import unicodedata
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

SPLITS = {
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
    "gpt4o": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
GGUF_SPLITS = {"qwen2": "qwen2", "llama-bpe": "llama3", "gpt-4o": "gpt4o"}


def split_steps(pattern):
    return [
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


def byte_level(vocabulary, merges, split=None, digits=False, nfc=False, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=ignore_merges))
    steps = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    steps += split_steps(split) if split else [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def read_gguf(path):
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    return {key.removeprefix("tokenizer.ggml."): field.contents() for key, field in fields.items() if "ggml." in key}


def load(path, kind):
    path = Path(path)
    if kind == "auto":
        import transformers

        return transformers.AutoTokenizer.from_pretrained(path).backend_tokenizer
    if path.suffix == ".gguf":
        fields = read_gguf(path)
        tokens, kinds, split = fields["tokens"], fields["token_type"], fields["pre"]
        tokenizer = byte_level(
            {token: i for i, token in enumerate(tokens)},
            [tuple(merge.split(" ")) for merge in fields["merges"]],
            split=SPLITS.get(GGUF_SPLITS.get(split)),
            digits=split in ("smollm", "starcoder", "refact"),
            nfc=split == "qwen2",
            ignore_merges=split == "llama-bpe",
        )
        tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t, k in zip(tokens, kinds) if k == 3])
        tokenizer.add_tokens([AddedToken(t, normalized=False) for t, k in zip(tokens, kinds) if k == 4])
        return tokenizer
    if (path / "tokenizer.json").exists():
        return Tokenizer.from_file(str(path / "tokenizer.json"))
    if kind == "roberta" or not (path / "vocab.json").exists():
        import transformers

        name = "RobertaTokenizerFast" if kind == "roberta" else "BertTokenizerFast"
        return getattr(transformers, name).from_pretrained(path).backend_tokenizer
    vocabulary = json.loads((path / "vocab.json").read_text())
    lines = [line for line in (path / "merges.txt").read_text().split("\n") if line and not line.startswith("#version")]
    merges = [tuple(line.split(" ")) for line in lines]
    qwen2 = kind == "qwen2"
    tokenizer = byte_level(vocabulary, merges, split=SPLITS["qwen2"] if qwen2 else None, nfc=qwen2)
    config = path / "tokenizer_config.json"
    if config.exists():
        for _, token in sorted(json.loads(config.read_text()).get("added_tokens_decoder", {}).items(), key=lambda x: int(x[0])):
            added = AddedToken(**token)
            (tokenizer.add_special_tokens if added.special else tokenizer.add_tokens)([added])
    elif "<|endoftext|>" in vocabulary:
        tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


class Texts:
    """Random texts of many kinds."""

    RANGES = [
        (0x20, 0x7E), (0x41, 0x5A), (0x61, 0x7A), (0x30, 0x39), (0x00, 0x1F), (0x80, 0xFF), (0x100, 0x24F),
        (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
        (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x209F),
        (0x2150, 0x218F), (0x2460, 0x24FF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF),
        (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0xE000, 0xF8FF),
        (0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x16000, 0x16FFF), (0x1D000, 0x1D7FF), (0x1F300, 0x1FAFF),
        (0x20000, 0x323AF), (0xE0000, 0xE01EF), (0x0, 0x10FFFF),
    ]
    SPACES = [" "] * 12 + ["\n"] * 4 + ["\t", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\xa0", "\u1680", "\u2003", "\u2028"] \
        + ["\u2029", "\u202f", "\u3000", "\u200b", "\ufeff", "\x00", "  ", "   ", "\n\n", " \n", "\n "]
    CONTRACTIONS = [a + b for a in "'’ʼ" for b in ("s t re ve m ll d S T RE Ve M lL D ſ ſt l r v".split() + [""])]
    EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "❤️", "1️⃣", "☝🏿", "🧑‍💻", "🤷🏻‍♂️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
    WORDS = ("the of and to in is you that it he was for on are with as his they be at one have this from or had by hot "
             "but some what there we can out other were all your when use word how said an each she which their time "
             "Straße naïve café résumé coöperate Übergröße señor façade São Zürich Łódź привет мир как дела 你好 世界 "
             "机器学习 自然语言处理 こんにちは ありがとう 東京 안녕하세요 감사합니다 مرحبا السلام שלום नमस्ते สวัสดี ไทย Việt Nam "
             "tiếng ελληνικά İstanbul ııı ǅ ǈ ﬀ ﬁ ſ K Å Ω").split()
    CODE = ["def f(x):\n    return x**2\n", "if (a != b) {\n\tc += 1;\n}\n", "#include <stdio.h>\r\n", "<div class=\"a\">",
            "SELECT * FROM t WHERE id=3;", "let x: [Int] = []", "https://example.com/a?b=c&d=e%20f#g", "x = {'a': 1, \"b\": 2}",
            "/* comment */ // other", "foo_bar.bazQuux->qux::quuz", "\\begin{equation}\\frac{1}{2}", "a@b.de", "$HOME/.cache",
            "0x1F 1e-5 3.14159 1,000,000 1_000", "...---...", "!!!???", "=====", "-----", "`code`", "**bold**", "HTTPServerError"]

    # The first article of the Universal Declaration of Human Rights.
    SENTENCES = [
        "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
        "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
        "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。",
        "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا وعليهم أن يعامل بعضهم بعضًا بروح الإخاء.",
        "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม และควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ",
        "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए।",
        "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
        "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.",
        "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi. Mọi con người đều được tạo hóa ban cho lý trí và lương tâm.",
        "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
        "def tokenize(text: str) -> list[int]:\n    \"\"\"Ids of a text.\"\"\"\n    return [vocabulary.get(piece, 0) for piece in text.split()]\n\nif __name__ == '__main__':\n\tprint(tokenize('a  b'))\n",
    ]

    def __init__(self, seed, special, lines):
        self.random = random.Random(seed)
        self.special = special
        self.lines = lines

    def scalar(self):
        low, high = self.random.choice(self.RANGES)
        while 0xD800 <= (c := self.random.randint(low, high)) <= 0xDFFF:
            pass
        return chr(c)

    def atom(self):
        r = self.random
        kind = r.randrange(16)
        if kind < 4:
            return r.choice(self.WORDS)
        if kind == 4:
            return "".join(r.choice(self.SPACES) for _ in range(r.randint(1, 4)))
        if kind == 5:
            return r.choice(self.CONTRACTIONS)
        if kind == 6:
            return str(r.randrange(10 ** r.randint(1, 12)))
        if kind == 7:
            return r.choice(self.EMOJI)
        if kind == 8:
            return r.choice(self.CODE)
        if kind == 9:
            return r.choice(self.special) if self.special and r.random() < 0.5 else r.choice("<>|[]/'\"`~^_$€£。，、！？…—–")
        if kind == 10:
            base = r.choice("aeiouAEIOUcnsytd가각ᄀ한αΩअकกدאäöüǖṩ")
            marks = [0x300, 0x301, 0x302, 0x303, 0x304, 0x307, 0x308, 0x30A, 0x316, 0x323, 0x327, 0x328, 0x345, 0x334,
                     0x1161, 0x11A8, 0x93C, 0x94D, 0x5B0, 0x5BC, 0x64B, 0x651, 0xE38, 0xE48, 0x3099, 0x309A, 0x20DD, 0x1DFA]
            return base + "".join(chr(r.choice(marks)) for _ in range(r.randint(1, 5)))
        if kind == 11:
            return self.scalar() * r.randint(1, 30)
        if kind == 12:
            low, high = r.choice(self.RANGES[:-1])
            return "".join(chr(r.randint(low, high)) for _ in range(r.randint(1, 12)))
        if kind == 13:
            word = r.choice(self.WORDS)
            return r.choice([word.upper(), word.title(), word + r.choice(self.CONTRACTIONS), word[::-1]])
        return self.scalar()

    def text(self, small):
        r = self.random
        kind = r.randrange(12)
        if kind == 0 and self.lines:
            return r.choice(self.lines)
        if kind == 1:
            return "".join(self.scalar() for _ in range(r.randint(0, 12)))
        if kind == 2:
            return " ".join(r.choice(self.WORDS) for _ in range(r.randint(1, 12)))
        if kind == 3 and self.special:
            token = r.choice(self.special)
            cut = r.randrange(len(token) + 1)
            return r.choice([token + token, token[:cut], " " + token + "\n", "a" + token + "b", token[:cut] + token])
        if kind == 4 and not small and r.random() < 0.02:
            return r.choice(["a", " ", "\n", "é", "汉", "ab", "1", "!", "é", "😀", "\u0301", "Aa", "A"]) * r.randint(100, 2000)
        separator = r.choice(["", "", " "])
        return separator.join(self.atom() for _ in range(r.randint(1, 6 if small else 14)))


def every_scalar():
    """Texts that hold every assigned scalar, and some others, after and before letters, spaces, digits and marks."""
    around = ["a", " ", "1", "\n", "\u0301", "\uac00"]
    scalars = [chr(c) for c in range(0x110000) if c % 16 == 0 or unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]
    scalars = [c for c in scalars + [chr(c) for c in range(0x10D40, 0x11400)] if not "\ud800" <= c <= "\udfff"]
    for i in range(0, len(scalars), 8):
        group = scalars[i : i + 8]
        yield "".join(a + c for c in group for a in around)
        yield "".join(group)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("tokenizer")
    parser.add_argument("output")
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--text", nargs="*", default=[])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--scalars", action="store_true")
    parser.add_argument("--kind", choices=["gpt2", "qwen2", "roberta", "auto"], default="gpt2")
    parser.add_argument("--save")
    parser.add_argument("--encoder", action="store_true")
    parser.add_argument("--languages", action="store_true")
    arguments = parser.parse_args()

    tokenizer = load(arguments.tokenizer, arguments.kind)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if arguments.save:
        Path(arguments.save).mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(Path(arguments.save) / "tokenizer.json"))
        if arguments.encoder:
            tokenizer.model.save(arguments.save)
        if arguments.tokenizer.endswith(".gguf"):
            (Path(arguments.save) / "gguf.json").write_text(json.dumps(read_gguf(arguments.tokenizer)))
    lines = [line for name in arguments.text for line in Path(name).read_text(errors="replace").splitlines(keepends=True)]
    lines += Texts.SENTENCES if arguments.languages else []
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    pairs = None
    if arguments.encoder and not arguments.scalars and not arguments.lines:
        from encoder_texts import EncoderTexts

        generator = EncoderTexts(arguments.seed, special, lines)
        texts = [generator.text(arguments.small) for _ in range(arguments.count)]
        pairs = [generator.pair(arguments.small) if i % 2 else (None, None) for i in range(arguments.count)]
    elif arguments.lines:
        texts = lines
    elif arguments.scalars:
        texts = list(every_scalar())
    else:
        generator = Texts(arguments.seed, special, lines)
        texts = [generator.text(arguments.small) for _ in range(arguments.count)]

    start = time.thread_time()
    if pairs:
        encodings = [tokenizer.encode(text, pair) for text, (pair, _) in zip(texts, pairs)]
    else:
        encodings = [tokenizer.encode(text) for text in texts]
    seconds = time.thread_time() - start
    megabytes = sum(len(text.encode()) for text in texts + [pair for pair, _ in pairs or [] if pair]) / 1e6
    with open(arguments.output, "w") as output:
        for text, encoding, (pair, limit) in zip(texts, encodings, pairs or [(None, None)] * len(texts)):
            if limit:
                tokenizer.enable_truncation(limit)
                encoding = tokenizer.encode(text, pair)
                tokenizer.no_truncation()
            ids = encoding.ids
            row = {
                "text": text,
                **({"segments": encoding.type_ids} if arguments.encoder else {}),
                **({} if pair is None else {"pair": pair}),
                **({"limit": limit} if limit else {}),
                "ids": ids,
                "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                "plain": tokenizer.decode(ids, skip_special_tokens=True),
            }
            output.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(texts)} rows, {megabytes:.2f} MB, tokenizers encode {megabytes / seconds:.2f} MB/s")


if __name__ == "__main__":
    main()
