import Crypto
package import Foundation

/// The size and SHA-256 of a file's contents.
package struct FileDigest: Sendable, Equatable {
    package let bytes: Int64
    /// 64 lower-case hexadecimal digits.
    package let sha256: String

    package init(bytes: Int64, sha256: String) {
        self.bytes = bytes
        self.sha256 = sha256
    }
}

extension FileSystem {
    /// Reads a file once, in pieces, and returns its size and SHA-256.
    package func digest(of path: String) throws -> FileDigest {
        let file = try open(path, .read)
        var hasher = DigestHasher()
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: DigestHasher.chunk, alignment: 4096)
        defer { chunk.deallocate() }
        while true {
            let count = try file.read(into: chunk)
            if count == 0 { return hasher.finish() }
            hasher.update(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
        }
    }
}

/// SHA-256 and a count of the bytes that went through.
package struct DigestHasher {
    /// Small enough that bytes stay in the cache between hashing and writing.
    static let chunk = 1 << 20

    private var hash = SHA256()
    private var bytes: Int64 = 0

    package init() {}

    /// Adds a text, and where it ends.
    package mutating func update(_ text: String) {
        (Array(text.utf8) + [0]).withUnsafeBytes { update($0) }
    }

    package mutating func update(_ data: UnsafeRawBufferPointer) {
        hash.update(bufferPointer: data)
        bytes += Int64(data.count)
    }

    package func finish() -> FileDigest {
        FileDigest(bytes: bytes, sha256: Self.hexadecimal(hash.finalize()))
    }

    static func sha256(of data: UnsafeRawBufferPointer) -> String {
        var hash = SHA256()
        hash.update(bufferPointer: data)
        return hexadecimal(hash.finalize())
    }

    private static func hexadecimal(_ digest: SHA256.Digest) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// A new file whose SHA-256 is computed while it is written.
package final class HashedFile {
    private let file: any OpenFile
    private var hasher = DigestHasher()

    init(_ file: any OpenFile) {
        self.file = file
    }

    /// Appends bytes.
    package func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(DigestHasher.chunk))
            hasher.update(piece)
            try file.write(piece)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
        }
    }

    /// Appends bytes.
    package func write(_ bytes: some ContiguousBytes) throws {
        try bytes.withUnsafeBytes { try write($0) }
    }

    func finish() throws -> FileDigest {
        try file.synchronize()
        try file.close()
        return hasher.finish()
    }
}
