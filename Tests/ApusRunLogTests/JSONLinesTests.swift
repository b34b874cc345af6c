import ApusFiles
import ApusFilesTesting
import ApusJSON
import Foundation
import Testing

@testable import ApusRunLog

@Suite struct JSONLinesTests {
    private let disk = SimulatedDisk()
    private let path = "/logging.jsonl"

    private func put(_ text: String) throws {
        try disk.writeAtomically(Data(text.utf8), to: path)
    }

    private func text() throws -> String {
        String(decoding: try disk.contents(of: path), as: UTF8.self)
    }

    @Test func rowsAreAppended() throws {
        try JSONLines(path, fileSystem: disk).append(["loss": 1.5])
        try JSONLines(path, fileSystem: disk).append(["step": 2, "name": "ä"])
        #expect(try text() == "{\"loss\": 1.5}\n{\"step\": 2, \"name\": \"ä\"}\n")
    }

    @Test(arguments: ["{\"a\": 2", "{\"a\": 2}", "{", "\0\0\0\0", "{\"a\"\n", "\0\0\n", "[1]\n"])
    func anUnfinishedTailIsCutOff(_ tail: String) throws {
        try put("{\"a\": 1}\n" + tail)
        let lines = try JSONLines(path, fileSystem: disk)
        try lines.append(["a": 3])
        #expect(try text() == "{\"a\": 1}\n{\"a\": 3}\n")
        #expect(lines.damagedLines == [])
    }

    @Test func laterRowsAreDropped() throws {
        try put("{\"a\": 1}\n{\"a\": 2}\n{\"a\": 5}\n{\"a\": 2}\n")
        var seen: [Int?] = []
        let lines = try JSONLines(
            path, fileSystem: disk,
            keeping: { rows in 0..<(rows.firstIndex { ($0["a"]?.intValue ?? 0) > 2 } ?? rows.count) },
            visit: { seen.append($0["a"]?.intValue) })
        try lines.append(["a": 3])
        #expect(seen == [1, 2])
        #expect(try text() == "{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n")
    }

    @Test func damageInTheMiddleIsReportedAndKept() throws {
        let damaged = "{\"a\": 1}\n{\"a\": \n{\"a\": 3}\n"
        try put(damaged)
        #expect(try JSONLines(path, fileSystem: disk).damagedLines == [2])
        #expect(try text() == damaged)
    }

    @Test func aRowThatFailsHalfwayIsTakenBack() throws {
        try put("{\"a\": 1}\n")
        for position in 1...12 {
            let faulty = FaultyFileSystem(disk, failing: .once(ENOSPC), atCall: position)
            guard let lines = try? JSONLines(path, fileSystem: faulty) else { continue }
            try? lines.append(["failing": .int(position)])
            try? lines.append(["next": .int(position)])
        }
        #expect(try JSONLines(path, fileSystem: disk).damagedLines == [])
    }
}
