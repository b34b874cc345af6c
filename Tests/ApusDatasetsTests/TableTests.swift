import ApusJSON
import Foundation
import Testing

@testable import ApusDatasets

@Suite("Tables")
struct TableTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func rows(_ text: String, _ name: String, columns: Set<String> = []) throws -> [JSONValue] {
        let file = try RowFile(path: folder.write(text, to: name), columns: columns)
        return try (0..<file.count).map { try file.value(at: $0) }
    }

    @Test func quotedFieldsHoldAnything() throws {
        let text = "\u{FEFF}text,label\r\n\"a, \"\"b\"\"\r\nc\",1\r\n\r\nplain \"quotes\",\"\"\n,2"
        let file = try RowFile(path: folder.write(text, to: "x.csv"))
        #expect(
            try (0..<file.count).map { try file.value(at: $0) } == [
                ["text": "a, \"b\"\r\nc", "label": "1"], ["text": "plain \"quotes\"", "label": ""],
                ["text": "", "label": "2"],
            ])
        #expect((0..<file.count).map(file.place) == [2, 5, 6].map { "\(file.path):\($0)" })
    }

    @Test(arguments: ["x.tsv", "x.csv", "x.txt", "x.data"])
    func quotesBetweenTabsArePlainText(_ name: String) throws {
        #expect(
            try rows("sentence\tlabel\r\n\"open, he said\t0\r\nclosed\"\t1", name) == [
                ["sentence": "\"open, he said", "label": "0"], ["sentence": "closed\"", "label": "1"],
            ])
    }

    @Test func headersAreToldFromData() throws {
        #expect(
            try rows("great film,positive\nbad,negative", "a.csv")[0] == ["text": "great film", "label": "positive"])
        #expect(try rows("Text,Kind\nx,y", "b.csv") == [["Text": "x", "Kind": "y"]])
        #expect(try rows("mine,kind\nx,y", "c.csv", columns: ["mine"]) == [["mine": "x", "kind": "y"]])
        #expect(try rows("What a text!,text,1\nb,c,0", "d.csv").count == 2)
        #expect(
            try rows("anchor,positive,negative\na,b,c", "e.csv") == [["anchor": "a", "positive": "b", "negative": "c"]])
        // A class called 0 is not the column "0".
        #expect(try rows("film\t0\nother\t1", "f.tsv", columns: ["0", "1"])[0] == ["0": "film", "1": "0"])
        #expect(try rows("text,label\na,b", "g.csv", columns: ["1"]) == [["text": "a", "1": "b"]])
        // Two known names settle it, whatever stands beside them.
        for name in ["Was this helpful?", "2024", "the name of a column", String(repeating: "long", count: 11)] {
            let row = try rows("prompt,response,\(name)\na,b,c", "h.csv")
            #expect(row.map { $0.objectValue?.keys } == [["prompt", "response", name]])
        }
        // With one, rows that are of no known shape.
        #expect(try rows("review,Was it good?\nx,y", "i.csv") == [["review": "x", "Was it good?": "y"]])
    }

    /// For conversations the first line holds names, known or not, as `datasets` reads tables.
    @Test(arguments: [("x.csv", ","), ("y.csv", ";"), ("x.tsv", "\t"), ("x.txt", "\t"), ("y.txt", "||")])
    func unknownNamesStay(_ name: String, _ separator: String) throws {
        let lines = [["q", "a", "n"], ["hi", "hello", "1"], ["bye", "see you", "2"]]
        let path = try folder.write(
            lines.map { $0.joined(separator: separator) }.joined(separator: "\n"), to: name)
        var options = ConversationRecognizer.Options()
        // What is called a text is one, unless something says that it is a table.
        if !name.hasSuffix(".txt") {
            let error = #expect(throws: DatasetError.self) {
                try DatasetLoader().load([path], as: ConversationRecognizer(options))
            }
            #expect(error?.description.contains("no messages") == true)
            #expect(error?.description.contains("\(path):2: the row has columns q, a, n") == true)
        }
        #expect(throws: DatasetError.self) { try DatasetLoader().load([path], as: PreferenceRecognizer(options)) }
        options.columns = ["q": "query", "a": "response"]
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let train = try loader.load([path], as: ConversationRecognizer(options)).train
        #expect(
            try (0..<train.count).map { transcript(try train.conversation(at: $0)) } == [
                ["user: hi", "assistant: hello"], ["user: bye", "assistant: see you"],
            ])
        // Numbers say that there is none.
        options.columns = ["0": "query", "1": "response"]
        #expect(try loader.load([path], as: ConversationRecognizer(options)).train.count == 3)
    }

    @Test func separatorsAreFoundByTheFirstRows() throws {
        let expected: [JSONValue] = [["text": "a", "label": "1"], ["text": "b, c", "label": "0"]]
        #expect(try rows("text;label\na;1\nb, c;0\n", "a.csv") == expected)
        #expect(try rows("text|label\r\na|1\r\n\"b, c\"|0", "b.csv") == expected)
        #expect(try rows("text,label\na,1\n\"b, c\",0\n", "c.csv") == expected)
        #expect(try rows("a;1\nb, c;0\n", "d.csv") == expected)
        #expect(try rows("mine;kind\na;1", "e.csv", columns: ["mine"]) == [["mine": "a", "kind": "1"]])
        // One column of texts with semicolons in them.
        #expect(try rows("text\na;b\nc;d", "f.csv") == [["text": "a;b"], ["text": "c;d"]])
        let long = String(repeating: "x", count: 1 << 17)
        #expect(try rows("text;label\n\(long);1\n", "g.csv")[0]["label"] == "1")
        let file = try RowFile(path: folder.write("text;label\ra;1\rb;2\r", to: "h.csv"))
        #expect(file.note == "a table with ';' between its fields")
        #expect((0..<file.count).map(file.place) == [2, 3].map { "\(file.path):\($0)" })
    }

    @Test func columnsWithoutNamesHavePositions() throws {
        let text = "a\tb\tc\td\te\nf\tg\th\ti\tj\tk\n"
        #expect(
            try rows(text, "x.tsv", columns: ["1", "4"]) == [
                ["0": "a", "1": "b", "2": "c", "3": "d", "4": "e"],
                ["0": "f", "1": "g", "2": "h", "3": "i", "4": "j", "5": "k"],
            ])
        let file = try RowFile(path: folder.write("a\tb\nc\n", to: "y.tsv"), columns: ["1"])
        #expect(throws: RowRejection("fewer fields than columns", "1 of 2")) { try file.value(at: 1) }
    }

    @Test func wellKnownShapesNeedNoNames() throws {
        let scored = "main\tMSRvid\t2012\t0001\t5.000\tA \"plane\tAn air plane\tsource\tmore\n"
        let plain = "main\tMSRvid\t2012\t0002\t0\tone\ttwo\n"
        let names = ["genre", "file", "year", "id", "score", "sentence1", "sentence2"]
        for row in try rows(scored + plain, "sts.csv") { #expect(row.objectValue?.keys == names) }
        #expect(try rows("gj04\t1\t\tIt sails.\ngj04\t0\t*\tSail it.", "cola.tsv")[1]["sentence"] == "Sail it.")
        #expect(try rows("一？\t二\t1\n", "pairs.data") == [["sentence1": "一？", "sentence2": "二", "label": "1"]])
        #expect(
            try rows("one two three four\tA long sentence that is no label.\n", "u.tsv")[0].objectValue?.keys == [
                "0", "1",
            ])
        // A score out of range shows that it is something else.
        #expect(try rows("a\tb\tc\td\t7\tf\tg", "v.tsv")[0]["score"] == nil)
    }

    @Test func raggedRowsAreDropped() throws {
        let path = try folder.write("text,label\na,1\nb\nc,2,3\n\"d\"x,4\ne\u{0},5\nf,6\n", to: "x.csv")
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let loaded = try loader.load([path], as: LabelledRecognizer())
        #expect(try (0..<loaded.train.count).map { try loaded.train.recognized(at: $0).texts } == [["a"], ["f"]])
        #expect(
            loaded.report.files[0].dropped.entries.map { "\($0.reason) \($0.example)" } == [
                "fewer fields than columns \(path):3: 1 of 2", "more fields than columns \(path):4: 3 instead of 2",
                "text behind closing quotes \(path):5: write quotes inside of a quoted field twice, as in \"a \"\"b\"\"\"",
                "a NUL byte in the row \(path):6",
            ])
        loader.isStrict = true
        let error = #expect(throws: DatasetError.self) { try loader.load([path], as: LabelledRecognizer()) }
        #expect(error?.description.hasPrefix("\(path):3: fewer fields than columns: 1 of 2. ") == true)
    }

    @Test(arguments: [
        ("x.csv", Data("text,label\na,1\n\"b,2\nc".utf8), ":3: the quotes that begin here are never closed"),
        ("x.csv", Data("text,Text\na,1".utf8), ":1: two columns are called \"Text\""),
        ("x.csv", Data("text,label\na,1\n".utf8) + [0xFF, 0x2C, 0x31], ":3: is not UTF-8"),
        ("x.tsv", Data("text\tlabel\n".utf8) + [0xC3, 0x28, 0x09, 0x31], ":2: is not UTF-8"),
        ("x.csv", Data("text,label\ra,1\r\"b,2\rc".utf8), ":3: the quotes that begin here are never closed"),
        ("x.csv", Data("a;1,5\nb;2,5\n".utf8), ":1: fields may end at ',' or at ';'"),
        ("x.csv", Data("text,label\r\n".utf8), ": has no rows"), ("x.csv", Data(), ": has no rows"),
        ("x.tsv", Data("\n\r\n".utf8), ": has no rows"),
        ("x.data", Data(), ": has no rows"),
    ])
    func badTablesNameThePlace(_ name: String, _ data: Data, _ message: String) throws {
        let path = try folder.write(data, to: name)
        let error = #expect(throws: DatasetError.self) {
            let file = try RowFile(path: path)
            for row in 0..<file.count { _ = try file.value(at: row) }
        }
        #expect(error?.description.hasPrefix(path + message) == true, "\(error?.description ?? "")")
    }

    @Test func hugeLinesAreRead() throws {
        let long = String(repeating: "ab\u{E9} ", count: 2 << 20)
        let file = try RowFile(path: folder.write("text,label\n\"\(long)\",1\n", to: "x.csv"))
        #expect(try file.value(at: 0)["text"]?.stringValue?.utf8.count == long.utf8.count)
        let unclosed = try folder.write("text,label\n\"" + long, to: "y.csv")
        #expect(throws: DatasetError.self) { try RowFile(path: unclosed) }
    }

    /// Cutting or changing a table anywhere gives an error or other rows, never a crash.
    @Test func anyPrefixAndAnyByteIsSurvived() throws {
        let text = Array("\u{FEFF}text,\"la\"\"bel\"\r\n\"a,\nb\",1\r\n\r\nc\td,2".utf8)
        func scan(_ bytes: [UInt8]) {
            bytes.withUnsafeBytes { bytes in
                _ = try? TableScanner.separator(of: bytes, columns: ["3"], path: "x.csv")
                for separator in TableScanner.Separator.allCases {
                    let scanner = TableScanner(separator: separator)
                    for row in (try? scanner.rows(of: bytes)) ?? [] {
                        let fields = try? scanner.fields(of: UnsafeRawBufferPointer(rebasing: bytes[row]))
                        if let fields { _ = try? TableLayout(sample: [fields], columns: ["3"]).object(fields) }
                    }
                }
            }
        }
        for end in text.indices {
            scan(Array(text[..<end]))
            scan(Array(text[end...]))
            for byte: UInt8 in [0, 0x22, 0x2C, 0x09, 0x0A, 0x0D, 0xFF, 0xC3] {
                var changed = text
                changed[end] = byte
                scan(changed)
            }
        }
    }
}
