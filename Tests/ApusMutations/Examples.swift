import ApusJSON

/// Small sound files of kinds that the fixtures have no small example of.
enum Examples {
    /// A byte-level BPE, a WordPiece and a Unigram.
    static let tokenizers = [bytePairs, wordPieces, unigram]

    private static func added(_ id: Int, _ content: String) -> JSONValue {
        [
            "id": .int(id), "content": .string(content), "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        ]
    }

    private static let bytePairs: String = {
        // GPT-2's characters for the bytes.
        let printable = Array(33..<127) + Array(161..<173) + Array(174..<256)
        let spare = (0..<256).filter { !printable.contains($0) }
        var vocabulary = JSONObject()
        for (id, byte) in (printable + spare).enumerated() {
            let scalar = id < printable.count ? byte : 256 + id - printable.count
            vocabulary[Unicode.Scalar(UInt32(scalar)).map { String($0) } ?? ""] = .int(id)
        }
        let merges = ["H e", "l l", "He ll", "Hell o", "w o", "r l", "Ġ wo", "1 2", "a a", "aa aa"]
        for (index, merge) in merges.enumerated() {
            vocabulary[merge.split(separator: " ").joined()] = .int(256 + index)
        }
        let byteLevel: JSONValue = [
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false,
        ]
        let pattern =
            #"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        return JSONValue.object([
            "version": "1.0", "truncation": nil, "padding": nil,
            "added_tokens": [added(300, "<|im_start|>"), added(301, "<|im_end|>")],
            "normalizer": ["type": "NFC"],
            "pre_tokenizer": [
                "type": "Sequence",
                "pretokenizers": [
                    ["type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated", "invert": false],
                    byteLevel,
                ],
            ],
            "post_processor": byteLevel, "decoder": byteLevel,
            "model": [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false, "vocab": .object(vocabulary),
                "merges": .array(merges.map(JSONValue.string)),
            ],
        ]).serialized()
    }()

    private static let wordPieces = JSONValue.object([
        "version": "1.0",
        "truncation": ["direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0],
        "padding": nil, "added_tokens": [added(0, "[PAD]"), added(1, "[UNK]"), added(2, "[CLS]"), added(3, "[SEP]")],
        "normalizer": [
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil,
            "lowercase": true,
        ],
        "pre_tokenizer": ["type": "BertPreTokenizer"],
        "post_processor": [
            "type": "TemplateProcessing",
            "single": [
                ["SpecialToken": ["id": "[CLS]", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]],
                ["SpecialToken": ["id": "[SEP]", "type_id": 0]],
            ],
            "pair": [
                ["SpecialToken": ["id": "[CLS]", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]],
                ["SpecialToken": ["id": "[SEP]", "type_id": 0]], ["Sequence": ["id": "B", "type_id": 1]],
                ["SpecialToken": ["id": "[SEP]", "type_id": 1]],
            ],
            "special_tokens": [
                "[CLS]": ["id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]],
                "[SEP]": ["id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]],
            ],
        ],
        "decoder": ["type": "WordPiece", "prefix": "##", "cleanup": true],
        "model": [
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": [
                "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "hello": 4, "wor": 5, "##ld": 6, "你": 7, "a": 8,
                "##a": 9,
                ",": 10, "!": 11, "1": 12, "##2": 13,
            ],
        ],
    ]).serialized()

    private static let unigram = JSONValue.object([
        "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": [added(0, "<unk>"), added(1, "</s>")],
        "normalizer": [
            "type": "Sequence",
            "normalizers": [["type": "NFKC"], ["type": "Replace", "pattern": ["Regex": " {2,}"], "content": " "]],
        ],
        "pre_tokenizer": ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true],
        "post_processor": nil,
        "decoder": ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true],
        "model": [
            "type": "Unigram", "unk_id": 0, "byte_fallback": false,
            "vocab": [
                ["<unk>", 0.0], ["</s>", 0.0], ["▁", -2.0], ["▁Hello", -3.5], ["▁world", -4.25], ["a", -1.5],
                ["aa", -2.5], ["l", -3.0], ["o", -3.0], ["你好", -6.0],
            ],
        ],
    ]).serialized()

    private static let chatML =
        "{%- set ns = namespace(found=false) %}{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
        + "{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}{{ '<|im_start|>' + m['role'] + '\\n' + "
        + "m['content'] | trim + '<|im_end|>\\n' }}{% set ns.found = true %}{% endfor %}{% if add_generation_prompt %}"
        + "{{ '<|im_start|>assistant\\n' }}{% endif %}{{ messages | length }}{{ messages | tojson }}{% macro f(x, y=1) %}"
        + "{{ x ~ y }}{% endmacro %}{{ f('a') }}{{ range(3) | join(',') }}{{ 'a,b'.split(',')[::-1] }}"

    static let tokenizerConfig = JSONValue.object([
        "tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": false, "bos_token": nil,
        "eos_token": ["content": "<|im_end|>", "lstrip": false, "special": true], "pad_token": "<|im_start|>",
        "model_max_length": 64, "added_tokens_decoder": ["301": ["content": "<|im_end|>", "special": true]],
        "additional_special_tokens": ["<|im_start|>"], "chat_template": .string(chatML),
    ]).serialized()

    static let tokenizerConfigOfBERT = JSONValue.object([
        "tokenizer_class": "BertTokenizer", "do_lower_case": true, "strip_accents": nil, "unk_token": "[UNK]",
        "cls_token": "[CLS]", "sep_token": "[SEP]", "model_max_length": 1_000_000_000, "add_bos_token": true,
        "chat_template": [["name": "default", "template": "{{ messages[0].content }}"]],
    ]).serialized()

    private static let messages =
        #"{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A", "weight": 0}]}"#
    private static let tools =
        #"{"tools": "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]", "messages": [{"role": "user", "content": "Q"}, {"role": "tool_call", "content": "{\"name\": \"f\", \"arguments\": {}}"}, {"role": "tool", "content": "1"}, {"role": "assistant", "content": "A"}]}"#
    private static let others = [
        #"{"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "system": "S", "id": 7}"#,
        #"{"instruction": "I", "input": "", "output": "O", "history": [["a", "b"]]}"#,
        #"{"query": "Q", "response": "A", "history": "[['a', 'b'], (\"c\", None)]", "label": 0.5}"#,
        #"{"text1": "a", "text2": "b", "label": 1}"#, #"{"text": "a", "label": [1, 0, 1]}"#,
        #"{"anchor": "a", "positive": "b", "negative": ["c", "d"]}"#,
        #"{"query": "q", "positive": ["p"], "negative": ["n", "m"]}"#,
        #"{"prompt": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}], "completion": "A"}"#,
    ]

    /// Data sets by the name of the file.
    static let data: [(file: String, examples: [String])] = [
        ("rows.jsonl", ([[messages, tools].joined(separator: "\n")] + others.map { "\($0)\n\n\($0)\r\n" })),
        (
            "rows.json",
            [
                "[\(messages),\n\(tools)]", "[" + others.joined(separator: ", ") + "]",
                #"{"query": ["a", "b"], "response": ["c", "d"]}"#,
            ]
        ),
        (
            "rows.csv",
            [
                "query,response,label\n\"a \"\"b\"\"\nc\",d,1\ne,f,0\n", "text1;text2;label\r\na;b;0.5\r\n",
                "text,label\n你好,\"a,b\"\n\u{FEFF},\n",
                "messages\n\"[{'role': 'user', 'content': 'Q'}, {'role': 'assistant', 'content': 'A'}]\"\n",
            ]
        ),
        ("rows.tsv", ["query\tresponse\na\tb\nc\t\"d\te\"\n"]),
    ]
}
