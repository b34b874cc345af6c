import ApusFiles
import ApusFilesTesting
import Foundation
import Testing

@testable import ApusRunLog

@Suite struct RunFolderTests {
    private let folder: TemporaryFolder
    private let date = Date(timeIntervalSince1970: 1_787_412_600)

    init() throws {
        folder = try TemporaryFolder()
    }

    private func make(
        _ output: String, addVersion: Bool = true, on fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> RunFolder {
        try RunFolder(
            outputDirectory: output, addVersion: addVersion, date: date, timeZone: .gmt, fileSystem: fileSystem)
    }

    @Test func versionsCountUp() throws {
        let output = folder("output/Qwen2.5-0.5B")
        #expect(try make(output).path == output + "/v0-20260822-153000")
        #expect(try make(output).path == output + "/v1-20260822-153000")
        for name in ["v7-20250101-000000", "v12x-1", "v-1", "vv9-1", "v99999999999999999999-1", "v٣-1"] {
            try LocalFileSystem().createDirectory(FilePath.join(output, name))
        }
        #expect(try make(output).path == output + "/v8-20260822-153000")
    }

    @Test func withoutVersionsTheFolderIsUsedItself() throws {
        let run = try make(folder("mine"), addVersion: false)
        #expect(run.path == folder("mine"))
        #expect(run.loggingPath == folder("mine/logging.jsonl"))
        #expect(throws: FolderInUse.self) { try make(folder("mine"), addVersion: false) }
        #expect(throws: FolderInUse.self) { try RunFolder(existing: folder("mine")) }
        run.lock.release()
        _ = try RunFolder(existing: folder("mine"))
    }

    @Test func runsThatStartTogetherGetDifferentNumbers() async throws {
        let (output, date) = (folder("output"), date)
        let starts = try await withThrowingTaskGroup(of: RunFolder.self) { group in
            for index in 0..<16 {
                group.addTask {
                    try RunFolder(
                        outputDirectory: output, addVersion: true, date: date + Double(index % 4), timeZone: .gmt)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let numbers = starts.compactMap { FilePath.lastComponent(of: $0.path).split(separator: "-").first }
        #expect(Set(numbers) == Set((0..<16).map { "v\($0)" }))
    }

    @Test func onDisksWithoutLocksNamesStillDiffer() throws {
        let disk = SimulatedDisk(supportsLocks: false)
        let first = try make("/output", on: disk)
        #expect(first.path == "/output/v0-20260822-153000")
        #expect(try make("/output", on: disk).path == "/output/v1-20260822-153000")
    }

    /// A second run into a folder finds no record of the first where its own go: these are in a folder of their own, or gone.
    @Test func recordsOfAnEarlierRun() throws {
        let records = ["args.json", "logging.jsonl", "val_dataset.jsonl", "completions.jsonl", "dropped.jsonl"]
        let run = try make(folder("mine"), addVersion: false)
        let files = LocalFileSystem()
        func write() throws {
            for name in records { try files.writeAtomically(Data("old".utf8), to: FilePath.join(run.path, name)) }
        }
        try write()
        let aside = try #require(try run.setAsideRecords())
        #expect(aside == folder("mine/earlier-1"))
        for name in records {
            #expect(try files.status(FilePath.join(run.path, name)) == nil, "\(name)")
            #expect(try files.status(FilePath.join(aside, name)) != nil, "\(name)")
        }
        try write()
        try run.removeEarlierRun()
        for name in records { #expect(try files.status(FilePath.join(run.path, name)) == nil, "\(name)") }
    }

    @Test func aFolderThatCannotBeWrittenIsAnError() throws {
        let disk = SimulatedDisk()
        for position in 1...10 {
            let faulty = FaultyFileSystem(disk, failing: .persistent(EACCES), atCall: position)
            let error = #expect(throws: FileError.self) { try make("/output\(position)", on: faulty) }
            #expect(error?.description.contains("--output_dir") == true)
        }
    }
}
