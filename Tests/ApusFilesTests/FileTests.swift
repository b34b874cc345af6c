import ApusFiles
import ApusFilesTesting
import Foundation
import Testing

@Suite struct FileTests {
    let folder: TemporaryFolder
    let local = LocalFileSystem()

    init() throws {
        folder = try TemporaryFolder()
    }

    /// As `os.path.expanduser` of Python.
    @Test(arguments: [
        ("~", "/home/u", "/home/u"), ("~/a", "/home/u/", "/home/u/a"), ("~", "/", "/"), ("~/a", "/", "/a"),
        ("~v/a", "/home/u", "~v/a"), ("a/~/b", "/home/u", "a/~/b"), ("", "/home/u", ""),
    ])
    func theFolderOfTheUser(path: String, home: String, expanded: String) {
        #expect(HomeFolder.expand(path, home: home) == expanded)
        #expect(HomeFolder.path(["HOME": home]) == home && HomeFolder.path(["HOME": ""]) == NSHomeDirectory())
    }

    @Test func atomicFilesAndLinksReplaceOlderOnes() throws {
        for text in ["first", "second, longer"] {
            try local.writeAtomically(Data(text.utf8), to: folder("state.json"))
            #expect(try local.contents(of: folder("state.json")) == Data(text.utf8))
        }
        for target in ["checkpoint-5", "checkpoint-10"] {
            try local.replaceSymbolicLink(folder("last"), to: target)
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder("last")) == target)
        }
        #expect(try local.contentsOfDirectory(folder.path) == ["last", "state.json"])
    }

    /// What a path for output leads to, links followed.
    @Test func placesForOutput() throws {
        try local.writeAtomically(Data("a".utf8), to: folder("file"))
        try local.createDirectory(folder("place"))
        for (link, target) in [("direct", "file"), ("twice", "direct"), ("dangling", "place/new"), ("round", "round")] {
            try local.createSymbolicLink(folder(link), to: target)
        }
        try local.createSymbolicLink(folder("nothing"), to: "/dev/null")
        #expect(OutputTarget(folder("file")) == .file(folder("file")))
        #expect(OutputTarget(folder("twice")) == .file(folder("file")))
        #expect(OutputTarget(folder("dangling")) == .absent(folder("place/new")))
        #expect(OutputTarget(folder("new")) == .absent(folder("new")))
        #expect(OutputTarget(folder("file/below")) == .absent(folder("file/below")))
        #expect(OutputTarget(folder("place")) == .folder)
        #expect(OutputTarget("/dev/null") == .stream && OutputTarget(folder("nothing")) == .stream)
        if case .absent = OutputTarget(folder("round")) {} else { Issue.record("a link to itself leads nowhere") }
        #expect(mkfifo(folder("pipe"), 0o600) == 0 && OutputTarget(folder("pipe")) == .stream)
        #expect(OutputTarget.isSame(folder("twice"), folder("file")))
        #expect(OutputTarget.isSame(folder("file"), folder("./file")))
        #expect(!OutputTarget.isSame(folder("file"), folder("place")))
        #expect(!OutputTarget.isSame(folder("new"), folder("new")))
    }

    @Test func everyFaultOfAnAtomicFileLeavesOldOrNew() throws {
        for fault in [.once(EIO), .persistent(ENOSPC), .killed] as [FaultyFileSystem.Fault] {
            for position in 1...8 {
                var random = SeededRandom(seed: UInt64(position))
                let disk = SimulatedDisk()
                try disk.writeAtomically(Data("old".utf8), to: "/a.json")
                try disk.replaceSymbolicLink("/last", to: "old")
                let faulty = FaultyFileSystem(disk, failing: fault, atCall: position)
                let written = (try? faulty.writeAtomically(Data("new".utf8), to: "/a.json")) != nil
                let linked = (try? faulty.replaceSymbolicLink("/last", to: "new")) != nil
                disk.losePower(using: &random)
                let text = String(decoding: try disk.contents(of: "/a.json"), as: UTF8.self)
                #expect(text == "new" || (text == "old" && !written))
                let target = try disk.destination(of: "/last")
                #expect(target == "new" || (target == "old" && !linked))
            }
        }
    }

    @Test func oneRunPerFolder() throws {
        let first = try FolderLock(folder.path)
        let error = #expect(throws: FolderInUse.self) { try FolderLock(folder.path) }
        #expect(error?.owner.contains("process \(ProcessInfo.processInfo.processIdentifier) on ") == true)
        first.release()
        _ = try FolderLock(folder.path)
    }

    @Test func errorsSayWhatToTry() throws {
        let error = #expect(throws: FileError.self) { try local.open(folder("no/such"), .read) }
        #expect(error?.description == "cannot open \(folder("no/such")): No such file or directory; check the path")
        let full = FileError("write", "x", code: ENOSPC, bytesNeeded: 3 << 20, bytesFree: 1000)
        #expect(
            full.description
                == "cannot write x: No space left on device, 3.0MiB needed, 1000B free; "
                + "free some space, or choose a folder on another disk (--output_dir)")
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs Linux' /dev/full"))
    func aFullDeviceIsAnError() throws {
        let file = try local.open("/dev/full", .append)
        let error = #expect(throws: FileError.self) { try Data(count: 100).withUnsafeBytes { try file.write($0) } }
        #expect(error?.code == ENOSPC && error?.bytesNeeded == 100)
    }

    @Test func treesAreRemovedWithoutFollowingLinks() throws {
        try local.createDirectories(folder("a/b/c"))
        try local.writeAtomically(Data([1]), to: folder("keep"))
        try local.createSymbolicLink(folder("a/link"), to: "../keep")
        try local.removeTree(folder("a"))
        try local.removeTree(folder("a"))
        #expect(try local.contentsOfDirectory(folder.path) == ["keep"])
    }

    @Test func limitsAreKeptWhenReading() throws {
        try local.writeAtomically(Data(count: 100_000), to: folder("x"))
        #expect(throws: FileError.self) { try local.contents(of: folder("x"), limit: 99_999) }
        #expect(try local.contents(of: folder("x"), limit: 100_000).count == 100_000)
    }

    @Test(arguments: [
        ("a/b", "a", "b"), ("a", ".", "a"), ("/a", "/", "a"), ("/", "/", ""), ("a/b/", "a", "b"), ("a//b", "a", "b"),
    ])
    func paths(_ path: String, _ parent: String, _ last: String) {
        #expect(FilePath.parent(of: path) == parent)
        #expect(FilePath.lastComponent(of: path) == last)
    }

    @Test(arguments: [
        (0, "0B"), (1023, "1023B"), (1024, "1.0KiB"), (1536, "1.5KiB"), (2_040_109_466, "1.9GiB"),
        (1_048_575, "1.0MiB"), (-2048, "-2.0KiB"),
        (Int64.max, "8.0EiB"),
    ])
    func byteCounts(_ bytes: Int64, _ text: String) {
        #expect(ByteCount.format(bytes) == text)
    }
}
