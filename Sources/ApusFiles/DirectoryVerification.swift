package import ApusJSON
import Foundation

/// A folder whose every listed file has the size and SHA-256 of its manifest.
package struct VerifiedDirectory: Sendable {
    package let path: String
    package let identity: JSONValue
    /// The files that may be trusted, by path relative to the folder.
    package let files: [String: FileDigest]
    /// Files that the manifest does not list: nothing is known about them, so nothing may be read from them.
    package let unlisted: [String]
}

/// Why a folder is not what its manifest says.
package struct VerificationError: Error, CustomStringConvertible, Equatable {
    package let folder: String
    /// The first bad file, relative to the folder.
    package let file: String
    package let problem: String

    package var description: String { "\(FilePath.join(folder, file)): \(problem)" }
}

extension FileSystem {
    /// Reads a folder's manifest without looking at the files.
    ///
    /// - Throws: `VerificationError` when it is missing, damaged or of another version.
    package func manifest(of folder: String) throws -> DirectoryManifest {
        let name = DirectoryManifest.fileName
        do {
            let text = try contents(of: FilePath.join(folder, name), limit: DirectoryManifest.sizeLimit)
            return try DirectoryManifest(parsing: Array(text))
        } catch let error as FileError where error.code == ENOENT {
            throw VerificationError(
                folder: folder, file: name, problem: "missing: the folder was not completed, or not written by Apus")
        } catch let error as FileError {
            throw VerificationError(folder: folder, file: name, problem: "unreadable (\(error))")
        } catch let error as ManifestError {
            throw VerificationError(folder: folder, file: name, problem: "damaged: \(error)")
        }
    }

    /// Checks every file of a folder against its manifest.
    ///
    /// - Parameter hashing: Whether to read the files and compare their SHA-256; without it, existence and sizes.
    /// - Throws: `VerificationError` naming the first bad file.
    package func verifyDirectory(_ folder: String, hashing: Bool = true) throws -> VerifiedDirectory {
        let manifest = try manifest(of: folder)
        for (name, expected) in manifest.files.sorted(by: { $0.key < $1.key }) {
            if let problem = problem(of: FilePath.join(folder, name), expected, hashing: hashing) {
                throw VerificationError(folder: folder, file: name, problem: problem)
            }
        }
        let unlisted = try files(below: folder).filter {
            manifest.files[$0] == nil && $0 != DirectoryManifest.fileName
        }
        return VerifiedDirectory(
            path: folder, identity: manifest.identity, files: manifest.files, unlisted: unlisted)
    }

    private func problem(of path: String, _ expected: FileDigest, hashing: Bool) -> String? {
        do {
            guard let status = try status(path) else { return "missing" }
            guard status.kind == .file else { return "not a plain file" }
            guard status.size == expected.bytes else {
                return "\(status.size) bytes, the manifest says \(expected.bytes)"
            }
            guard hashing else { return nil }
            let sha256 = try digest(of: path).sha256
            return sha256 == expected.sha256 ? nil : "SHA-256 is \(sha256), the manifest says \(expected.sha256)"
        } catch {
            return "unreadable (\(error))"
        }
    }

    /// Everything below a folder that is not a folder, relative to it, sorted; links are not followed.
    func files(below folder: String) throws -> [String] {
        try contentsOfDirectory(folder).flatMap { name -> [String] in
            let path = FilePath.join(folder, name)
            guard try status(path)?.kind == .directory else { return [name] }
            return try files(below: path).map { FilePath.join(name, $0) }
        }
    }
}
