import ApusFiles
import ApusFilesTesting
import ApusJSON
import Foundation
import Testing

/// Every way in which saving a folder can be cut short: the final name holds the previous folder or the new one.
@Suite struct AtomicDirectoryFaultTests {
    struct Disk: Sendable, CustomTestStringConvertible {
        var exchange = true
        var locks = true
        var hasPrevious = true
        var testDescription: String { "exchange \(exchange), locks \(locks), previous \(hasPrevious)" }

        static let all = [
            Disk(), Disk(hasPrevious: false), Disk(exchange: false), Disk(exchange: false, locks: false),
        ]

        func make() throws -> SimulatedDisk {
            let disk = SimulatedDisk(supportsExchange: exchange, supportsLocks: locks)
            try disk.createDirectories("/run")
            if hasPrevious { try Checkpoint.save(1, to: path, on: disk) }
            return disk
        }
    }

    private static let path = "/run/checkpoint-5"

    @Test(arguments: Disk.all)
    func everyFaultLeavesOneWholeFolder(_ setup: Disk) throws {
        let calls = try callsOfOneSave(setup)
        #expect(calls > 20)
        for fault in [.once(EIO), .once(ENOSPC), .persistent(EIO), .persistent(ENOSPC), .killed] as [Fault] {
            for position in 1...calls {
                let disk = try setup.make()
                let faulty = FaultyFileSystem(disk, failing: fault, atCall: position)
                let failure = Result { try Checkpoint.save(2, to: Self.path, on: faulty) }
                let isNew = (try? disk.manifest(of: Self.path).identity["step"]?.intValue) == 2
                if case .persistent(ENOSPC) = fault, !isNew {
                    #expect(try disk.contentsOfDirectory("/run").filter { $0.hasPrefix(".") } == [], "\(position)")
                }
                try checkAfter(disk, setup, committed: (try? failure.get()) != nil, "\(fault) at \(position)")
            }
        }
    }

    @Test(arguments: Disk.all)
    func everyPowerCutLeavesOneWholeFolder(_ setup: Disk) throws {
        let calls = try callsOfOneSave(setup)
        var cuts = 0
        for position in 1...(calls + 1) {
            for seed in 0..<6 {
                var random = SeededRandom(seed: UInt64(position * 1000 + seed))
                let disk = try setup.make()
                let faulty = FaultyFileSystem(disk, failing: .killed, atCall: position)
                let committed = (try? Checkpoint.save(2, to: Self.path, on: faulty)) != nil
                disk.losePower(using: &random)
                try checkAfter(disk, setup, committed: committed, "power cut at \(position), seed \(seed)")
                cuts += 1
            }
        }
        #expect(cuts >= 300)
    }

    /// The same with nothing simulated: a process that writes to the real disk and exits at its Nth call.
    @Test func everyRealExitLeavesOneWholeFolder() async throws {
        let folder = try TemporaryFolder()
        let path = folder("checkpoint-5")
        let local = LocalFileSystem()
        let counting = FaultyFileSystem(local, failing: .once(0), atCall: .max)
        try Checkpoint.save(1, to: path, on: counting)
        try Checkpoint.save(1, to: path, on: counting)
        let calls = counting.callCount / 2
        for position in stride(from: 1, through: calls, by: 2) {
            await #expect(processExitsWith: .exitCode(9)) { [path = path as String, position = position as Int] in
                let faulty = FaultyFileSystem(LocalFileSystem(), failing: .exit, atCall: position)
                try Checkpoint.save(2, to: path, on: faulty)
            }
            try local.sweepStaging(in: folder.path)
            let version = try Checkpoint.version(of: path, on: local)
            #expect(version == 1 || version == 2)
            #expect(try local.contentsOfDirectory(folder.path) == ["checkpoint-5"])
            try Checkpoint.save(1, to: path, on: local)
        }
    }

    private typealias Fault = FaultyFileSystem.Fault

    private func callsOfOneSave(_ setup: Disk) throws -> Int {
        let counting = FaultyFileSystem(try setup.make(), failing: .once(0), atCall: .max)
        try Checkpoint.save(2, to: Self.path, on: counting)
        return counting.callCount
    }

    private func checkAfter(_ disk: SimulatedDisk, _ setup: Disk, committed: Bool, _ comment: String) throws {
        disk.killProcesses()
        let text = Comment(rawValue: comment)
        if setup.hasPrevious, setup.exchange {
            // Where names can be exchanged, the final name is never empty, not even before the sweep.
            #expect(try disk.status(Self.path) != nil, text)
        }
        try disk.sweepStaging(in: "/run", now: 1e6)
        if try disk.status(Self.path) != nil {
            let version = try Checkpoint.version(of: Self.path, on: disk)
            #expect(version == 2 || (version == 1 && setup.hasPrevious && !committed), text)
        } else {
            #expect(!setup.hasPrevious && !committed, text)
        }
        #expect(try disk.contentsOfDirectory("/run").allSatisfy { $0 == "checkpoint-5" }, text)
        try Checkpoint.save(3, to: Self.path, on: disk)
        #expect(try Checkpoint.version(of: Self.path, on: disk) == 3, text)
    }
}

/// A small folder saved the way a training run saves.
enum Checkpoint {
    static func save(_ version: Int, to path: String, on fileSystem: any FileSystem) throws {
        let folder = try AtomicDirectory(path, expectedBytes: 1000, fileSystem: fileSystem)
        try folder.write(weights(version), as: "adapter_model.safetensors")
        try folder.writeFile("state/optimizer.safetensors") { file in
            try file.write(weights(version))
            try file.write(weights(version + 1))
        }
        // A writer that knows nothing of folders: it flushes nothing.
        let other = try fileSystem.open(try folder.path(for: "args.json"), .createNew)
        try Data("{\"version\": \(version)}".utf8).withUnsafeBytes { try other.write($0) }
        try other.close()
        try folder.commit(identity: ["step": .int(version)])
    }

    /// The version of a folder that verifies, after a look into its files.
    static func version(of path: String, on fileSystem: any FileSystem) throws -> Int {
        let folder = try fileSystem.verifyDirectory(path)
        let version = try #require(folder.identity["step"]?.intValue)
        let names = ["adapter_model.safetensors", "args.json", "state/optimizer.safetensors"]
        #expect(folder.files.keys.sorted() == names)
        #expect(folder.unlisted == [])
        let contents = { try fileSystem.contents(of: FilePath.join(path, $0)) }
        #expect(try contents("adapter_model.safetensors") == weights(version))
        #expect(try contents("state/optimizer.safetensors") == weights(version) + weights(version + 1))
        #expect(try contents("args.json") == Data("{\"version\": \(version)}".utf8))
        return version
    }

    private static func weights(_ version: Int) -> Data {
        Data((0..<100).map { UInt8(truncatingIfNeeded: $0 * version) })
    }
}
