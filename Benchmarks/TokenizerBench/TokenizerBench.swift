import ApusJSON
import ApusText
import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Checks a tokenizer against vectors of PyPI `tokenizers` and measures its speed, per second of processor time.
///
///     TokenizerBench FOLDER VECTORS.jsonl
///     TokenizerBench gguf.json VECTORS.jsonl
///     TokenizerBench --folders FOLDERS.json
///
/// Each row is `{"text", "ids", "decoded", "plain"}`, of encoders with `"segments"`, `"pair"` and `"limit"` as well, and
/// `gguf.json` the vocabulary of a GGUF
/// file, as `Scripts/parity/tokenizer_vectors.py` writes them.
@main
struct TokenizerBench {
    struct Row {
        let text: String
        let ids: [Int32]
        let decoded: String
        let plain: String?
        /// The segments of the ids, and what made them: a second text and the most ids, where there are any.
        let segments: [Int32]?
        let pair: String?
        let limit: Int?

        init(_ value: JSONValue) {
            func numbers(_ key: String) -> [Int32]? { value[key]?.arrayValue?.map { Int32($0.intValue ?? -1) } }
            text = value["text"]?.stringValue ?? ""
            ids = numbers("ids") ?? []
            decoded = value["decoded"]?.stringValue ?? ""
            plain = value["plain"]?.stringValue
            segments = numbers("segments")
            pair = value["pair"]?.stringValue
            limit = value["limit"]?.intValue
        }

        var byteCount: Int { text.utf8.count + (pair?.utf8.count ?? 0) }
    }

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else {
            print("usage: TokenizerBench FOLDER|gguf.json VECTORS.jsonl | TokenizerBench --folders FOLDERS.json")
            exit(2)
        }
        if arguments[1] == "--folders" {
            exit(try FolderCases(URL(filePath: arguments[2])).check() == 0 ? 0 : 1)
        }
        let start = processorSeconds()
        let tokenizer =
            try arguments[1].hasSuffix(".json")
            ? loadGGUF(URL(filePath: arguments[1])) : Tokenizer.load(folder: URL(filePath: arguments[1]))
        let loading = processorSeconds() - start
        print("load: \(Int(loading * 1000)) ms, \(tokenizer.vocabularySize) tokens")

        let rows = try readRows(URL(filePath: arguments[2]))
        let faults = check(tokenizer, rows)
        measure(tokenizer, rows)
        if faults > 0 { exit(1) }
    }

    private static func loadGGUF(_ url: URL) throws -> Tokenizer {
        let value = try JSONValue(parsing: Data(contentsOf: url))
        func strings(_ key: String) -> [String] { (value[key]?.arrayValue ?? []).compactMap(\.stringValue) }
        func id(_ key: String) -> Int32? { value[key]?.intValue.map { Int32($0) } }
        return try Tokenizer(
            gguf: GGUFVocabulary(
                model: value["model"]?.stringValue ?? "", preTokenizer: value["pre"]?.stringValue,
                tokens: strings("tokens"),
                tokenTypes: (value["token_type"]?.arrayValue ?? []).map { Int32($0.intValue ?? 0) },
                merges: strings("merges"), beginningOfSequenceID: id("bos_token_id"),
                endOfSequenceID: id("eos_token_id"), unknownID: id("unknown_token_id"),
                paddingID: id("padding_token_id"), addsBeginningOfSequence: value["add_bos_token"]?.boolValue))
    }

    private static func readRows(_ url: URL) throws -> [Row] {
        let data = try Data(contentsOf: url, options: .mappedIfSafe)
        return try data.split(separator: 0x0A).map { Row(try JSONValue(parsing: Data($0))) }
    }

    /// Prints the first differences and returns how many there are.
    private static func check(_ tokenizer: Tokenizer, _ rows: [Row]) -> Int {
        var shown = 0
        func report(_ kind: String, _ row: Row, _ got: String, _ wanted: String) {
            shown += 1
            guard shown <= 10 else { return }
            print(
                "\(kind): \(row.text.debugDescription)\n   scalars \(row.text.unicodeScalars.map { String($0.value, radix: 16) })"
            )
            if let pair = row.pair { print("   pair \(pair.debugDescription), at most \(row.limit ?? .max) ids") }
            print("   got    \(got)\n   wanted \(wanted)")
        }
        var (encodes, segments, decodes, streams) = (0, 0, 0, 0)
        for row in rows {
            let encoded = tokenizer.encode(row.text, pair: row.pair, maximumLength: row.limit)
            let ids = row.pair == nil && row.limit == nil ? tokenizer.encode(row.text) : encoded.ids
            if ids != row.ids || encoded.ids != row.ids {
                encodes += 1
                report("encode", row, "\(ids)", "\(row.ids)")
            }
            if let expected = row.segments, encoded.segments != expected {
                segments += 1
                report("segments", row, "\(encoded.segments)", "\(expected)")
            }
            let decoded = tokenizer.decode(row.ids)
            if !same(decoded, row.decoded) {
                decodes += 1
                report("decode", row, decoded.debugDescription, row.decoded.debugDescription)
            }
            if let plain = row.plain, !same(tokenizer.decode(row.ids, skipSpecialTokens: true), plain) {
                decodes += 1
                report("decode without special tokens", row, tokenizer.decode(row.ids, skipSpecialTokens: true), plain)
            }
            var streaming = tokenizer.streamingDecoder()
            var streamed = ""
            for id in row.ids { streamed += streaming.append(id) }
            streamed += streaming.finish()
            if !same(streamed, row.decoded) {
                streams += 1
                report("streamed decode", row, streamed.debugDescription, row.decoded.debugDescription)
            }
        }
        print(
            "\(rows.count) rows, \(rows.count { $0.pair != nil }) of them pairs: \(encodes) differing encodes, "
                + "\(segments) differing segments, \(decodes) differing decodes, \(streams) differing streamed decodes")
        return encodes + segments + decodes + streams
    }

    /// Equality of scalars; `==` would let canonically equal strings pass.
    private static func same(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }

    private static func measure(_ tokenizer: Tokenizer, _ rows: [Row]) {
        let bytes = rows.reduce(0) { $0 + $1.byteCount }
        var count = 0
        let encoding =
            (0..<3).map { _ in
                seconds {
                    for row in rows {
                        count +=
                            row.segments == nil
                            ? tokenizer.encode(row.text).count : tokenizer.encode(row.text, pair: row.pair).ids.count
                    }
                }
            }.min() ?? 0
        let decoding = seconds { for row in rows { count += tokenizer.decode(row.ids).utf8.count } }
        print("encode \(speed(bytes, encoding)) MB/s, decode \(speed(bytes, decoding)) MB/s, \(count) ids and bytes")
    }

    private static func speed(_ bytes: Int, _ seconds: Double) -> String {
        String(format: "%.1f", Double(bytes) / 1e6 / seconds)
    }

    private static func seconds(_ body: () -> Void) -> Double {
        let start = processorSeconds()
        body()
        return processorSeconds() - start
    }

    /// The processor time of this thread; other work on the machine does not count.
    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
