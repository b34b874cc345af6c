import ApusJSON
import Foundation
import Testing

@testable import ApusDatasets

@Suite("References and files")
struct ReadingTests {
    private func parse(_ text: String, existing: Set<String> = []) throws -> DatasetReference {
        try DatasetReference(parsing: text) { existing.contains($0) }
    }

    @Test func referencesAreSplitInOrder() throws {
        let plain = try parse("org/name")
        #expect((plain.location, plain.hub, plain.subsets, plain.sampleCount) == ("org/name", nil, [], nil))
        let full = try parse("HF::org/name:a/ b#500")
        #expect(full.location == "org/name")
        #expect(full.hub == .huggingFace)
        #expect(full.subsets == ["a", "b"])
        #expect(full.sampleCount == 500)
        #expect(try parse("ms::x").hub == .modelScope)
        #expect(try parse("data.jsonl# 7 ").sampleCount == 7)
    }

    @Test func existingPathsWin() throws {
        #expect(try parse("a#1:b.json", existing: ["a#1:b.json"]).location == "a#1:b.json")
        let sampled = try parse("a#1:b.json#20", existing: ["a#1:b.json"])
        #expect(sampled.location == "a#1:b.json")
        #expect(sampled.sampleCount == 20)
        #expect(sampled.subsets == [])
        #expect(try parse("hf::x.json", existing: ["hf::x.json"]).hub == nil)
        let local = try parse("c:d.json#2", existing: ["c:d.json"])
        #expect((local.location, local.sampleCount) == ("c:d.json", 2))
    }

    @Test(arguments: ["", "#5", "x#", "x#many", "x#0", "x#-3", "x#99999999999", "s3::bucket/x"])
    func badReferencesAreRefused(_ text: String) {
        #expect(throws: DatasetError.self) { try parse(text) }
    }

    @Test func urlsListsAndOtherSystemsPaths() throws {
        let data = "/data/my file.jsonl"
        for text in [
            "file:///data/my%20file.jsonl", "file://localhost/data/my%20file.jsonl", "FILE:/data/my%20file.jsonl",
        ] {
            let reference = try parse(text + "#7", existing: [data])
            #expect((reference.location, reference.sampleCount) == (data, 7))
        }
        #expect(throws: DatasetError.self) { try parse("file://host/data") }
        func list(_ text: String, existing: Set<String> = []) throws -> [DatasetReference] {
            try DatasetReference.list(parsing: text) { existing.contains($0) }
        }
        let two = try list("a.jsonl#5, b.csv:reg ,", existing: ["a.jsonl", "b.csv"])
        #expect(two.map(\.location) == ["a.jsonl", "b.csv"])
        #expect(two.map(\.sampleCount) == [5, nil])
        #expect(two.map(\.subsets) == [[], ["reg"]])
        #expect(try list("a,b.jsonl", existing: ["a,b.jsonl"]).map(\.location) == ["a,b.jsonl"])
        #expect(try list("a,b.jsonl#3", existing: ["a,b.jsonl"]).map(\.sampleCount) == [3])
        for path in [#"C:\data\train.jsonl"#, "d:/data/train.jsonl#5", #"\\server\share\x.csv"#] {
            let error = #expect(throws: DatasetError.self) { try list(path) }
            #expect(error?.description.contains("a path of Windows") == true)
        }
        #expect(
            (#expect(throws: DatasetError.self) { try parse(#"C:\data\x.jsonl"#) })?.description
                .hasSuffix("/mnt/c/data/x.jsonl") == true)
    }

    @Test func patternsAreOneDataSet() throws {
        let folder = try TemporaryFolder()
        for name in ["b.jsonl", "a.jsonl", "c.json"] {
            _ = try folder.write("{\"query\": \"\(name)\", \"response\": \"r\"}\n", to: name)
        }
        try FileManager.default.createDirectory(
            at: folder.url.appending(path: "d.jsonl"), withIntermediateDirectories: true)
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let loaded = try loader.load(["\(folder.url.path)/*.jsonl#5"])
        let texts = try (0..<5).map { try loaded.train.conversation(at: $0).messages[0].textOrEmpty }
        #expect(texts == ["a.jsonl", "b.jsonl", "a.jsonl", "b.jsonl", "a.jsonl"])
        #expect(loaded.report.files.map(\.trainCount) == [3, 2])
        #expect(try loader.load(["\(folder.url.path)/[ac].json*"]).train.count == 2)
        for pattern in ["*.csv", "**/*.jsonl"] {
            #expect(throws: DatasetError.self) { try loader.load(["\(folder.url.path)/\(pattern)"]) }
        }
    }

    @Test func linesAreRows() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("\u{FEFF}{\"a\": 1}\r\n\n   \n{\"a\": 2}\n\t\n  {\"a\": 3}", to: "x.jsonl")
        let file = try RowFile(path: path)
        #expect(try (0..<file.count).map { try file.value(at: $0) } == [["a": 1], ["a": 2], ["a": 3]])
        #expect((0..<file.count).map(file.place) == ["\(path):1", "\(path):4", "\(path):6"])
    }

    @Test(arguments: [
        "[{\"a\": \"]},{\\\"\"}, {\"a\": 2}\n, {\"a\": [3]}]",
        "{\"rows\": [{\"a\": \"]},{\\\"\"}, {\"a\": 2}, {\"a\": [3]}], \"v\": 1}",
        "{\"a\": \"]},{\\\"\"}\n{\n\"a\": 2}{\"a\": [3]}\n",
        "\u{FEFF} [{\"a\": \"]},{\\\"\"},{\"a\": 2},{\"a\": [3]} ] \n",
    ])
    func jsonFilesHoldRowsInThreeWays(_ text: String) throws {
        let folder = try TemporaryFolder()
        let file = try RowFile(path: folder.write(text, to: "x.json"))
        #expect(try (0..<file.count).map { try file.value(at: $0) } == [["a": "]},{\""], ["a": 2], ["a": [3]]])
    }

    @Test func oneConversationIsOneRow() throws {
        let folder = try TemporaryFolder()
        let file = try RowFile(
            path: folder.write("{\"conversations\": [{\"from\": \"human\"}], \"id\": 1}", to: "x.json"))
        #expect(file.count == 1)
        #expect(try file.value(at: 0)["id"] == 1)
    }

    @Test(arguments: [
        ("x.jsonl", "{\"a\": 1}\n{\"a\": }\n", ":2: not valid JSON at column 7"),
        ("x.jsonl", "{\"a\": 1}\n{\"a\": 1", ":2: not valid JSON"),
        ("x.jsonl", "[\n{\"a\": 1}", ":1: not valid JSON"),
        ("x.jsonl", " \n ", ": has no rows"),
        ("x.json", "[]", ": has no rows"),
        ("x.json", "", ": has no rows"),
        ("x.json", "\n[{\"a\": 1},", ":2: "),
        ("x.json", "[{\"a\": 1}\n{\"a\": 2}]", ":2: expected ',' or ']'"),
        ("x.json", "[{\"a\": 1},\n]", ":2: expected a value"),
        ("x.json", "[{\"a\": \"1}]", ":1: the string"),
        ("x.json", "[{\"a\": 1}] x", ":1: text after the end"),
        ("x.json", "[{\"a\": 1},\n\n{\"a\": 1,}]", ":3: not valid JSON"),
        ("x.json", "\"text\"", ":1: expected an array"),
        ("x.json", "{\"a\": [{}], \"b\": [{}]}", ":1: an object with several arrays"),
        ("x.json", "{\"a\": [{}], ", ":1: the value that begins here has no end"),
        ("x.json", "}", ":1: expected an array"),
        ("x.parquet", "PAR1", ": "), ("x.xlsx", "PK", ": .xlsx files cannot be read; give .jsonl"),
        ("x", "", ": a file without an extension"),
    ])
    func badFilesNameThePlace(_ name: String, _ text: String, _ message: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(text, to: name)
        let error = #expect(throws: DatasetError.self) {
            let file = try RowFile(path: path)
            for row in 0..<file.count { _ = try file.value(at: row) }
        }
        #expect(error?.description.hasPrefix(path + message) == true, "\(error?.description ?? "")")
    }

    @Test func otherPlacesAreRefused() throws {
        let folder = try TemporaryFolder()
        #expect(
            throws: DatasetError(
                "\(folder.url.path): is a folder, not a file; give the path of a .jsonl or .json file in it")
        ) {
            try RowFile(path: folder.url.path)
        }
        let utf16 = try folder.write(Data([0xFF, 0xFE, 0x7B, 0]), to: "x.jsonl")
        #expect(throws: DatasetError("\(utf16): is UTF-16; save it as UTF-8")) { try RowFile(path: utf16) }
        let hub = #expect(throws: DatasetError.self) { try RowFile(path: "org/name") }
        #expect(hub?.description.contains("`apus download --dataset org/name`") == true)
        let missing = #expect(throws: DatasetError.self) { try RowFile(path: "data/missing.jsonl") }
        #expect(missing?.description.contains("no such file") == true)
    }

    /// Cutting a file anywhere gives an error or fewer rows, never a crash.
    @Test func anyPrefixAndAnyByteIsSurvived() throws {
        let text = Array(#"{"v": 1, "d": [ {"a": "x\"\\]", "b": [1, {"c": null}]}, {"a": -1.5e3} ], "e": {}} "#.utf8)
        func scan(_ bytes: [UInt8]) {
            bytes.withUnsafeBytes { bytes in
                var rows = JSONRowScanner(bytes: bytes)
                _ = try? rows.rows()
                var lines = JSONRowScanner(bytes: bytes)
                _ = try? lines.lines()
            }
        }
        for end in text.indices {
            scan(Array(text[..<end]))
            scan(Array(text[end...]))
            for byte in #"{}[]",:\ "#.utf8 {
                var changed = text
                changed[end] = byte
                scan(changed)
            }
        }
    }
}
