import Foundation
import Testing

@testable import ApusWeights

struct MappedFileTests {
    @Test func mapsTheWholeFile() throws {
        let folder = try TemporaryFolder()
        let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
        let file = try MappedFile(path: folder.file("a", bytes))
        #expect(file.count == bytes.count)
        #expect(file.withUnsafeBytes { $0.elementsEqual(bytes) })
        #expect(UInt(bitPattern: file.baseAddress) % 4096 == 0)
    }

    @Test func oldContentsOutliveAReplacement() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("a", [1, 2, 3])
        let file = try MappedFile(path: path)
        let replacement = try ReplacementFile(replacing: path)
        try [UInt8](arrayLiteral: 9).withUnsafeBytes(replacement.write)
        try replacement.commit()
        #expect(file.withUnsafeBytes { Array($0) } == [1, 2, 3])
        #expect(try contents(path) == [9])
    }

    @Test func refusesWhatIsNotAFile() throws {
        let folder = try TemporaryFolder()
        #expect(throws: WeightsError.self) { try MappedFile(path: folder.path) }
        #expect(throws: WeightsError.self) { try MappedFile(path: folder.path + "/absent") }
        #expect(throws: WeightsError.self) { try MappedFile(path: folder.file("empty", [])) }
        #expect(throws: WeightsError.self) { try MappedFile(path: "a\u{0}b") }
        #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
        #expect(throws: WeightsError.self) { try MappedFile(path: folder.path + "/pipe") }
    }

    @Test func anUncommittedReplacementLeavesNothing() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("a", [1])
        do {
            let replacement = try ReplacementFile(replacing: path)
            try [UInt8](repeating: 7, count: 3 << 20).withUnsafeBytes(replacement.write)
        }
        #expect(try contents(path) == [1])
        #expect(try folder.names() == ["a"])
        #expect(throws: WeightsError.self) { try ReplacementFile(replacing: folder.path + "/absent/a") }
    }

    @Test func errorsShowNamesFromFilesHarmlessly() {
        let error = WeightsError("m.safetensors", item: "a\u{1B}[31m", "is wrong", advice: "try again")
        #expect(error.description == #"m.safetensors: "a\u{1b}[31m": is wrong; try again"#)
        #expect(WeightsError.printable(String(repeating: "x", count: 1000)).count < 130)
    }
}
