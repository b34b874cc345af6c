"""Texts that find out what a tokenizer of an encoder does with accents, case, Han, controls and long words; and pairs."""
from tokenizer_vectors import Texts


class EncoderTexts(Texts):
    ACCENTED = ("Ärger ÀÉÎÕÜ ñandú Ångström crème brûlée Škoda žluťoučký kůň Ǆ ǆ ǅungla Ǻ ṩ ẛ̣ ậ Ệ İstanbul ISTANBUL ıSPARTA "
                "Straße STRASSE ẞ ﬁne ﬀ ﬃ ſtern ΟΔΥΣΣΕΥΣ Σ ς σ ϴ ϐ Ω Å K Ⅷ ⓐ Ⓩ Ａｂｃ １２３ ÅÅ Ё Й й ї Ґ ქართული ᲥᲐᲠᲗ Ꭰ ꭰ Ɐ Ⱥ").split()
    HAN = ("机器学习自然语言处理 東京都 中文English混排 㐀㿿 𠀀𪜀𫝀𫠠 豈﨏﨟 你好，世界！ 「引用」《书名》 々〆〇 カタカナひらがな 한국어가각 ㄱㄴ 12月3日 "
           "北京、上海 Ｑ＆Ａ ①② 丽").split()
    CONTROLS = ["\x00", "\x01", "\x07", "\x08", "\x0b", "\x0c", "\x1b", "\x7f", "\x80", "\x85", "\x9f", "\xad", "\ufffd",
                "\u200b", "\u200c", "\u200d", "\u200e", "\u202a", "\u2028", "\u2029", "\u2060", "\ufeff", "\ufff9", "\ue000",
                "\U000f0000", "\U000e0041", "\u0378", "\u061c", "\u06dd", "\u180e", "\t", "\r", "\n", "\xa0", "\u3000"]
    MARKS = [0x300, 0x301, 0x307, 0x308, 0x323, 0x327, 0x345, 0x344, 0x360, 0x5B0, 0x64B, 0x651, 0x903, 0x93C, 0x94D, 0x9BE, 0x9D7,
             0xE38, 0x302A, 0x302E, 0x302F, 0x3099, 0x309A, 0x16FF0, 0x1D165, 0x1D16D, 0x1D16E, 0x1D17B, 0x20DD, 0x20E3, 0xFE0F, 0x1DCA, 0x1ACF]
    CLEANED = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " do not ", " 's", " 've", " 're", "do not", "don ' t", "it ' s",
               "...", "?!", "''", "##", "##ing", "# #", "[CLS]", "[ SEP ]", "[sep]", "[MASK]ed", "<mask>", " <mask> ", "</s>"]

    def atom(self):
        r = self.random
        kind = r.randrange(20)
        if kind == 0:
            return r.choice(self.ACCENTED)
        if kind == 1:
            return r.choice(self.HAN)
        if kind == 2:
            return r.choice(self.CONTROLS) * r.choice([1, 1, 1, 3])
        if kind == 3:
            marks = "".join(chr(r.choice(self.MARKS)) for _ in range(r.randint(1, 6)))
            return r.choice("aeIOnsАиΑω中가각कか𝅘ẹ,1 ") + marks
        if kind == 4:
            return r.choice(self.CLEANED)
        if kind == 5:
            return r.choice(["", "un", "re"]) + "".join(r.choice(self.WORDS) for _ in range(r.randint(2, 9)))
        if kind == 6 and r.random() < 0.2:
            # Around the length from which a word counts as unknown.
            return r.choice(["a", "é", "ß", "x", "ab", "е\u0301", "\u200ba", "Ä", "가"]) * r.choice([49, 50, 51, 99, 100, 101, 102, 300])
        return super().atom()

    def pair(self, small):
        """A second text, sometimes an empty one, and sometimes how many ids both may become."""
        r = self.random
        second = r.choice(["", " ", self.text(small), self.text(small), self.text(small), self.text(small)])
        return second, r.choice([None, None, r.randint(4, 12), r.randint(4, 40), r.randint(8, 128)])
