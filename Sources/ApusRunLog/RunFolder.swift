package import ApusFiles
package import Foundation

/// The folder of one run: `<output_dir>/v{N}-{YYYYmmdd-HHMMSS}`, or `output_dir` itself.
package struct RunFolder: Sendable {
    package let path: String
    /// Keeps other runs out for as long as this run lives.
    package let lock: FolderLock

    /// The file of one JSON row per log event.
    package var loggingPath: String { FilePath.join(path, "logging.jsonl") }
    /// TensorBoard's event files.
    package var tensorBoardPath: String { FilePath.join(path, "runs") }
    package var imagesPath: String { FilePath.join(path, "images") }

    /// Makes a folder for a new run, or enters `outputDirectory` itself when `addVersion` is off.
    ///
    /// N is one more than the highest version there. Two runs that start together get different folders.
    ///
    /// - Throws: `FileError` when the folder cannot be made or written; `FolderInUse`.
    package init(
        outputDirectory: String, addVersion: Bool, date: Date = Date(), timeZone: TimeZone = .current,
        fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        try fileSystem.createDirectories(outputDirectory)
        let path = addVersion ? try Self.makeVersion(in: outputDirectory, date, timeZone, fileSystem) : outputDirectory
        try self.init(existing: path, fileSystem: fileSystem)
    }

    /// Enters the folder of an earlier run, to resume it.
    package init(existing path: String, fileSystem: any FileSystem = LocalFileSystem()) throws {
        self.path = path
        lock = try FolderLock(path, fileSystem: fileSystem)
    }

    /// What a run writes beside its checkpoints.
    private static let records = [
        "args.json", "logging.jsonl", "runs", "images", "val_dataset.jsonl", "completions.jsonl", "dropped.jsonl",
        "reference.safetensors",
    ]

    /// Whether a run gives a name to a file or folder of its own; on some disks small and large letters are the same.
    package func isOwn(_ name: String) -> Bool {
        let name = name.lowercased()
        return Self.records.contains(name) || Self.links.contains(name)
            || ["checkpoint-", "earlier-", "."].contains(where: name.hasPrefix)
    }

    /// Names of checkpoints beside their own.
    private static let links = ["last-checkpoint", "last", "best"]

    /// Moves the records of an earlier run into a folder of their own, so that those of two runs do not mix.
    ///
    /// - Returns: The folder `earlier-<n>`; nil when no run was logged here.
    package func setAsideRecords(fileSystem: any FileSystem = LocalFileSystem()) throws -> String? {
        guard try fileSystem.status(loggingPath) != nil else { return nil }
        var number = 1
        while try fileSystem.status(FilePath.join(path, "earlier-\(number)")) != nil { number += 1 }
        let folder = FilePath.join(path, "earlier-\(number)")
        try fileSystem.createDirectory(folder)
        for name in Self.records {
            let record = FilePath.join(path, name)
            if try fileSystem.status(record) != nil { try fileSystem.rename(record, to: FilePath.join(folder, name)) }
        }
        return folder
    }

    /// Removes what an earlier run left: its checkpoints, the links to them, and its records.
    package func removeEarlierRun(fileSystem: any FileSystem = LocalFileSystem()) throws {
        for checkpoint in try SavedCheckpoint.all(in: path, fileSystem: fileSystem) {
            try fileSystem.removeTree(checkpoint.path)
        }
        for name in Self.links {
            let link = FilePath.join(path, name)
            if try fileSystem.status(link)?.kind == .symbolicLink { try fileSystem.removeFile(link) }
        }
        for name in Self.records { try fileSystem.removeTree(FilePath.join(path, name)) }
    }

    private static func makeVersion(
        in folder: String, _ date: Date, _ timeZone: TimeZone, _ fileSystem: any FileSystem
    ) throws -> String {
        // Held while looking and creating, so that nobody else takes the same number; on disks without locks only the
        // collision of whole names is noticed.
        let turn = try waitForTurn(folder, fileSystem)
        defer { turn?.release() }
        var version = try nextVersion(in: folder, fileSystem)
        while true {
            let path = FilePath.join(folder, "v\(version)-\(timestamp(date, timeZone))")
            do {
                try fileSystem.createDirectory(path)
            } catch let error as FileError where error.code == EEXIST {
                version += 1
                continue
            }
            try fileSystem.synchronizeDirectory(folder)
            return path
        }
    }

    private static func nextVersion(in folder: String, _ fileSystem: any FileSystem) throws -> Int {
        let versions = try fileSystem.contentsOfDirectory(folder).compactMap { name -> Int? in
            guard name.hasPrefix("v"), let dash = name.firstIndex(of: "-") else { return nil }
            let digits = name[name.index(after: name.startIndex)..<dash]
            guard (1...9).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }) else {
                return nil
            }
            return Int(digits)
        }
        return (versions.max() ?? -1) + 1
    }

    /// The lock on a folder, after at most two seconds of waiting; nil on disks without locks, and when it stays taken.
    private static func waitForTurn(_ folder: String, _ fileSystem: any FileSystem) throws -> (any FileLock)? {
        for _ in 0..<200 {
            do {
                if let lock = try fileSystem.lock(folder) { return lock }
            } catch let error as FileError where error.code == ENOTSUP {
                return nil
            }
            Thread.sleep(forTimeInterval: 0.01)
        }
        return nil
    }

    private static func timestamp(_ date: Date, _ timeZone: TimeZone) -> String {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = timeZone
        let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute, .second], from: date)
        let digits = [parts.month, parts.day, parts.hour, parts.minute, parts.second]
            .map { DurationFormat.twoDigits($0 ?? 0) }
        return "\(parts.year ?? 0)" + digits[..<2].joined() + "-" + digits[2...].joined()
    }
}
