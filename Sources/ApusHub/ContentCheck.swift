import ApusFiles
import Crypto
import Foundation

/// The digest of bytes that come one after the other, to be compared with what the hub says.
struct ContentCheck {
    private let file: RemoteFile
    /// Whether the digest begins with a size that is not known before all bytes are there.
    let lacksSize: Bool
    private var hash: any HashFunction
    private(set) var count: Int64 = 0

    /// - Parameters:
    ///   - file: Its size is part of git's digest.
    ///   - present: The size of what is there, for a file of which the hub says none.
    init(_ file: RemoteFile, present: Int64? = nil) {
        self.file = file
        let size = file.size < 0 ? present : file.size
        if case .gitSHA1 = file.digest { lacksSize = size == nil } else { lacksSize = false }
        switch file.digest {
        case .sha256, .none: hash = SHA256()
        case .gitSHA1:
            hash = Insecure.SHA1()
            update(Data("blob \(size ?? 0)\0".utf8))
            count = 0
        }
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bufferPointer: bytes)
        count += Int64(bytes.count)
    }

    mutating func update(_ data: Data) {
        data.withUnsafeBytes { update($0) }
    }

    /// Takes in a whole file.
    mutating func read(_ path: String, _ files: any FileSystem) throws {
        let file = try files.open(path, .read)
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { chunk.deallocate() }
        while true {
            let count = try file.read(into: chunk)
            if count == 0 { return }
            update(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
        }
    }

    /// What came, in hexadecimal digits.
    var digest: String { Self.hexadecimal(hash) }

    private static func hexadecimal(_ hash: some HashFunction) -> String {
        hash.finalize().map { String(format: "%02x", $0) }.joined()
    }

    /// Whether the bytes are those that the hub has listed, as far as it says.
    var isRight: Bool {
        (file.size < 0 || count == file.size) && (file.digest.name.map { $0 == digest } ?? true)
    }
}
