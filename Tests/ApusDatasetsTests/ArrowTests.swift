import ApusJSON
import Foundation
import Testing

@testable import ApusDatasets

/// Files that Arrow reads.
///
/// Without the library that `make setup` makes, they are refused with what to do.
@Suite struct ArrowTests {
    private static let isThere = (try? ArrowLibrary.loaded.get()) != nil
    private let folder = packageRoot.appending(path: "Tests/Fixtures/arrow")

    @Test(.enabled(if: isThere), arguments: ["table.parquet", "table.feather", "table.arrow", "stream.arrow"])
    func tablesAreTheRowsThatWereWritten(name: String) throws {
        let expected = try JSONValue(parsing: Data(contentsOf: folder.appending(path: "rows.json"))).arrayValue ?? []
        let file = try RowFile(path: folder.appending(path: name).path)
        #expect(try (0..<file.count).map { try file.value(at: $0) } == expected)
        #expect(file.note == "values that are bytes, not text, are read as null: \"image\" (1)")
        #expect(file.place(of: 2).hasSuffix("\(name):3"))
    }

    @Test(.enabled(if: isThere), arguments: ["rows.jsonl.gz", "rows.jsonl.bz2", "rows.jsonl.zst"])
    func compressedTextIsItsText(name: String) throws {
        let file = try RowFile(path: folder.appending(path: name).path)
        #expect(try (0..<file.count).map { try file.value(at: $0)["query"] } == ["q1", "q2"])
    }

    @Test(.enabled(if: isThere))
    func damagedFilesAreRefusedByName() throws {
        let temporary = try TemporaryFolder()
        let whole = try Data(contentsOf: folder.appending(path: "table.parquet"))
        for (name, data) in [
            ("cut.parquet", whole.prefix(whole.count / 2)), ("text.parquet", Data("{}".utf8)), ("none.parquet", Data()),
            ("none.arrow", Data()), ("cut.jsonl.gz", Data([0x1F, 0x8B, 8])),
        ] {
            let path = try temporary.write(Data(data), to: name)
            #expect {
                try RowFile(path: path)
            } throws: { error in
                "\(error)".hasPrefix("\(path): ")
            }
        }
    }

    @Test func aCompressedFileSaysOfWhatByItsName() throws {
        let path = try TemporaryFolder().write("", to: "train.gz")
        #expect {
            try DataFileType(path: path)
        } throws: { error in
            "\(error)".contains("no such file") || "\(error)".contains("rename it, as in train.jsonl.gz")
        }
    }

    @Test(.enabled(if: isThere && sharedFixtures("parquet") != nil))
    func badFilesOfParquetTestingAreRefused() throws {
        let folder = try #require(sharedFixtures("parquet/parquet-testing/bad_data"))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
            // A dictionary of one value needs no bits; pyarrow reads it too.
            $0.hasSuffix(".parquet") && $0 != "ARROW-GH-43605.parquet"
        }
        #expect(names.count == 7)
        for name in names {
            #expect(throws: DatasetError.self, "\(name)") { try RowFile(path: folder.appending(path: name).path) }
        }
    }

    @Test(.enabled(if: isThere && sharedFixtures("parquet") != nil))
    func wikitextHasItsRows() throws {
        let folder = try #require(sharedFixtures("parquet/wikitext-2-raw-v1"))
        let file = try RowFile(path: folder.appending(path: "test.parquet").path)
        #expect(file.count == 4358)
        #expect(try file.value(at: 1) == ["text": " = Robert Boulter = \n"])
    }
}
