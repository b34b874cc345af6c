package import Foundation

extension FileSystem {
    /// Writes a whole file so that its name holds the previous contents or the new ones, never a part.
    package func writeAtomically(_ bytes: some ContiguousBytes, to path: String) throws {
        try replaceAtomically(path) { staging in
            let file = try open(staging, .createNew)
            try bytes.withUnsafeBytes { try file.write($0) }
            try file.synchronize()
            try file.close()
        }
    }

    /// Makes `path` a link to `target`, replacing a link or file in one step.
    package func replaceSymbolicLink(_ path: String, to target: String) throws {
        try replaceAtomically(path) { try createSymbolicLink($0, to: target) }
    }

    private func replaceAtomically(_ path: String, _ create: (String) throws -> Void) throws {
        let parent = FilePath.parent(of: path)
        let staging = FilePath.join(parent, StagingName.make(for: FilePath.lastComponent(of: path)))
        do {
            try create(staging)
            try rename(staging, to: path)
        } catch {
            try? removeTree(staging)
            throw error
        }
        try synchronizeDirectory(parent)
    }
}
