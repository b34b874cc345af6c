import ApusFiles
import ApusFilesTesting
import ApusJSON
import Foundation
import Testing

@Suite struct AtomicDirectoryTests {
    let folder: TemporaryFolder
    let local = LocalFileSystem()

    init() throws {
        folder = try TemporaryFolder()
    }

    @Test func writesWhatItSays() throws {
        let path = folder("a/b/checkpoint-1")
        let directory = try AtomicDirectory(path)
        try directory.write(Data("abc".utf8), as: "x.txt")
        #expect(try local.status(path) == nil)
        try directory.commit(identity: ["step": 1, "dtype": "bfloat16"])
        let verified = try local.verifyDirectory(path)
        #expect(verified.identity == ["step": 1, "dtype": "bfloat16"])
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(verified.files == ["x.txt": FileDigest(bytes: 3, sha256: abc)])
        #expect(try local.contentsOfDirectory(folder("a/b")) == ["checkpoint-1"])
    }

    @Test func aDroppedFolderLeavesNothing() throws {
        do {
            let directory = try AtomicDirectory(folder("x"))
            try directory.write(Data("abc".utf8), as: "x.txt")
        }
        #expect(try local.contentsOfDirectory(folder.path) == [])
    }

    @Test func theSweepTellsTheDeadFromTheLiving() throws {
        let running = try AtomicDirectory(folder("running"))
        let dead = folder(".tmp-dead-" + UUID().uuidString)
        try local.createDirectory(dead)
        try local.writeAtomically(Data([1]), to: FilePath.join(dead, "weights"))
        try local.createDirectory(folder(".tmp-mine"))
        let aside = folder(".old-checkpoint-3-" + UUID().uuidString)
        try local.createDirectory(aside)
        let swept = try local.sweepStaging(in: folder.path)
        #expect(swept.count == 2)
        #expect(
            try local.contentsOfDirectory(folder.path)
                == [".tmp-mine", FilePath.lastComponent(of: running.stagingPath), "checkpoint-3"].sorted())
        try running.commit(identity: nil)
    }

    @Test func namesThatLeadOutAreRefused() throws {
        let directory = try AtomicDirectory(folder("x"))
        for name in ["../y", "/etc/x", "a//b", "", ".", "a/..", "MANIFEST.json", "a\0b"] {
            #expect(throws: FileError.self, "\(name)") { try directory.write(Data(), as: name) }
        }
    }

    @Test func linksAmongTheFilesAreRefused() throws {
        let directory = try AtomicDirectory(folder("x"))
        try local.createSymbolicLink(try directory.path(for: "passwd"), to: "/etc/passwd")
        #expect(throws: FileError.self) { try directory.commit(identity: nil) }
    }

    @Test func aFileInTheWayIsRefused() throws {
        try local.writeAtomically(Data([1]), to: folder("x"))
        #expect(throws: FileError.self) { try AtomicDirectory(folder("x")) }
    }

    @Test func tooLittleSpaceIsSaidBeforeWriting() throws {
        let error = #expect(throws: FileError.self) { try AtomicDirectory(folder("x"), expectedBytes: 1 << 60) }
        #expect(error?.code == ENOSPC && error?.bytesNeeded == 1 << 60)
        let text = try #require(error?.description)
        #expect(text.contains("1.0EiB needed, ") && text.contains("--output_dir") && text.contains("No space left"))
        #expect(try local.contentsOfDirectory(folder.path) == [])
    }

    @Test func extraFilesAreReportedNotTrusted() throws {
        try Checkpoint.save(1, to: folder("c"), on: local)
        try local.writeAtomically(Data([1]), to: folder("c/state/evil.bin"))
        #expect(try local.verifyDirectory(folder("c")).unlisted == ["state/evil.bin"])
    }

    /// One random bit in a random file, shortened files, exchanged files: each must be seen.
    @Test func damageIsSeen() throws {
        try Checkpoint.save(1, to: folder("c"), on: local)
        let names = ["MANIFEST.json", "adapter_model.safetensors", "args.json", "state/optimizer.safetensors"]
        let originals = try names.map { Array(try local.contents(of: folder("c/" + $0))) }
        var random = SeededRandom(seed: 7)
        var seen = 0
        func put(_ bytes: [UInt8], _ index: Int) throws {
            try Data(bytes).write(to: URL(fileURLWithPath: folder("c/" + names[index])))
        }
        func check(_ indices: Int...) throws {
            let error = #expect(throws: VerificationError.self) { try local.verifyDirectory(folder("c")) }
            if let error, indices.contains(where: { names[$0] == error.file }) { seen += 1 }
            for index in indices { try put(originals[index], index) }
        }
        for _ in 0..<1000 {
            let index = Int.random(in: names.indices, using: &random)
            var bytes = originals[index]
            bytes[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            try put(bytes, index)
            try check(index)
        }
        for _ in 0..<200 {
            let index = Int.random(in: names.indices, using: &random)
            try put(Array(originals[index].prefix(Int.random(in: originals[index].indices, using: &random))), index)
            try check(index)
        }
        for _ in 0..<50 {
            let pair = names.indices.shuffled(using: &random).prefix(2)
            try put(originals[pair[0]], pair[1])
            try put(originals[pair[1]], pair[0])
            try check(pair[0], pair[1])
        }
        #expect(seen == 1250)
        _ = try local.verifyDirectory(folder("c"))
    }

    @Test func errorsNameTheFirstBadFile() throws {
        try Checkpoint.save(1, to: folder("c"), on: local)
        try local.removeFile(folder("c/args.json"))
        let error = #expect(throws: VerificationError.self) { try local.verifyDirectory(folder("c")) }
        #expect(error?.description == folder("c/args.json") + ": missing")
        try local.createDirectory(folder("empty"))
        let other = #expect(throws: VerificationError.self) { try local.verifyDirectory(folder("empty")) }
        #expect(other?.file == "MANIFEST.json")
    }

    @Test func foreignManifestsAreRefused() throws {
        let good = DirectoryManifest(identity: 1, files: ["a": FileDigest(bytes: 1, sha256: "0")])
        #expect(try DirectoryManifest(parsing: good.serialized()) == good)
        let leading = DirectoryManifest(identity: 1, files: ["../a": FileDigest(bytes: 1, sha256: "0")])
        #expect(throws: ManifestError.self) { try DirectoryManifest(parsing: leading.serialized()) }
        #expect(throws: ManifestError.self) { try DirectoryManifest(parsing: []) }
        #expect(throws: ManifestError.self) { try DirectoryManifest(parsing: Array("{}".utf8)) }
    }
}
