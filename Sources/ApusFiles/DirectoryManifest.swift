package import ApusJSON
import Foundation

/// `MANIFEST.json`: what a folder is, and the size and SHA-256 of every file in it.
///
/// The text starts with `{"sha256": "…"`, the SHA-256 of all bytes after that value's closing quote, so that damage
/// to the manifest itself shows too:
///
///     { "sha256": "…", "format": "apus-manifest", "version": 1, "identity": …, "files": {"a.bin": {"bytes": 3, …}} }
package struct DirectoryManifest: Sendable, Equatable {
    package static let fileName = "MANIFEST.json"
    package static let version = 1
    /// A manifest lists files; one this large is not ours.
    static let sizeLimit = 64 << 20

    /// What the writer said about the folder: step, base model, settings.
    package var identity: JSONValue
    /// By path relative to the folder.
    package var files: [String: FileDigest]

    package init(identity: JSONValue, files: [String: FileDigest]) {
        self.identity = identity
        self.files = files
    }

    package func serialized() -> [UInt8] {
        var list = JSONObject()
        for (name, digest) in files.sorted(by: { $0.key < $1.key }) {
            list[name] = ["bytes": .int(Int(digest.bytes)), "sha256": .string(digest.sha256)]
        }
        let body: JSONValue = [
            "format": .string(Self.format), "version": .int(Self.version), "identity": identity,
            "files": .object(list),
        ]
        // The body without its brace follows the checksum's value: `",` and the rest.
        let rest = Array((",\n" + body.serialized(indent: 2).dropFirst(2) + "\n").utf8)
        let checksum = rest.withUnsafeBytes { DigestHasher.sha256(of: $0) }
        return Self.prefix + Array(checksum.utf8) + [UInt8(ascii: "\"")] + rest
    }

    /// Reads a manifest back.
    ///
    /// - Throws: `ManifestError` that says what is wrong with the text.
    package init(parsing text: [UInt8]) throws {
        let bodyStart = Self.prefix.count + 64 + 1
        guard text.count > bodyStart, text.starts(with: Self.prefix), text[bodyStart - 1] == UInt8(ascii: "\"") else {
            throw ManifestError("it does not start with a SHA-256 of itself")
        }
        let checksum = text[bodyStart...].withUnsafeBytes { DigestHasher.sha256(of: $0) }
        guard text[Self.prefix.count..<bodyStart - 1].elementsEqual(checksum.utf8) else {
            throw ManifestError("its contents do not match their SHA-256")
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text, duplicateKeys: .refuse)
        } catch {
            throw ManifestError("\(error)")
        }
        guard value["format"]?.stringValue == Self.format, let version = value["version"]?.intValue else {
            throw ManifestError("it is not an Apus manifest")
        }
        guard version == Self.version else {
            throw ManifestError("version \(version), this program reads version \(Self.version): use a newer Apus")
        }
        guard let identity = value["identity"], let list = value["files"]?.objectValue else {
            throw ManifestError("\"identity\" or \"files\" is missing")
        }
        self.identity = identity
        files = [:]
        for (name, entry) in list {
            guard FilePath.isInside(name), name != Self.fileName else {
                throw ManifestError("the file name \"\(name)\" leads out of the folder")
            }
            guard let bytes = entry["bytes"]?.intValue, bytes >= 0, let sha256 = entry["sha256"]?.stringValue else {
                throw ManifestError("the entry of \"\(name)\" lacks its size or SHA-256")
            }
            files[name] = FileDigest(bytes: Int64(bytes), sha256: sha256)
        }
    }

    private static let format = "apus-manifest"
    private static let prefix = Array("{\n  \"sha256\": \"".utf8)
}

/// Why a text is not a manifest.
package struct ManifestError: Error, CustomStringConvertible, Equatable {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
