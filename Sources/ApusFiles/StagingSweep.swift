import Foundation

/// Names of the hidden items that lie beside final ones while these are written.
enum StagingName {
    private static let staging = ".tmp-"
    private static let aside = ".old-"
    private static let uuidLength = 36

    static func make(for name: String) -> String { staging + name + "-" + UUID().uuidString.lowercased() }

    /// The name of a previous folder that is out of the way for the moment in which a new one takes its place.
    static func makeAside(for name: String) -> String { aside + name + "-" + UUID().uuidString.lowercased() }

    static func isStaging(_ name: String) -> Bool { name.hasPrefix(staging) && endsInUUID(name) }

    /// The final name of a previous folder that was put aside.
    static func finalName(ofAside name: String) -> String? {
        guard name.hasPrefix(aside), endsInUUID(name) else { return nil }
        let final = String(name.dropFirst(aside.count).dropLast(uuidLength + 1))
        return final.isEmpty ? nil : final
    }

    private static func endsInUUID(_ name: String) -> Bool {
        UUID(uuidString: String(name.suffix(uuidLength))) != nil && name.dropLast(uuidLength).hasSuffix("-")
    }
}

extension FileSystem {
    /// Clears `folder` of what dead runs left half-written, and puts back a previous folder that one of them had moved
    /// aside.
    ///
    /// Items of running processes stay.
    ///
    /// - Parameter now: Seconds since 1970. Files and, on disks without locks, folders count as left over after a day.
    /// - Returns: The names that were removed or put back.
    @discardableResult
    package func sweepStaging(in folder: String, now: Double = Date().timeIntervalSince1970) throws -> [String] {
        guard try status(folder) != nil else { return [] }
        var swept: [String] = []
        for name in try contentsOfDirectory(folder) {
            let path = FilePath.join(folder, name)
            if let final = StagingName.finalName(ofAside: name) {
                let finalPath = FilePath.join(folder, final)
                if try status(finalPath) == nil {
                    try rename(path, to: finalPath)
                    try synchronizeDirectory(folder)
                } else {
                    try removeTree(path)
                }
                swept.append(name)
            } else if StagingName.isStaging(name), let lock = try lockIfAbandoned(path, now: now) {
                try removeTree(path)
                lock.release()
                swept.append(name)
            }
        }
        return swept
    }

    /// A lock on a staging item that nobody works on any more; nil when somebody does.
    private func lockIfAbandoned(_ path: String, now: Double) throws -> (any FileLock)? {
        guard let status = try status(path) else { return nil }
        let isOld = now - status.modified > 86400
        guard status.kind == .directory else { return isOld ? NoLock() : nil }
        do {
            return try lock(path)
        } catch let error as FileError where error.code == ENOTSUP {
            return isOld ? NoLock() : nil
        } catch let error as FileError where error.code == ENOENT {
            return nil
        }
    }
}

private final class NoLock: FileLock {
    func release() {}
}
