import Foundation

/// A file operation that the system refused: what was tried, on which path, why, and what to try.
package struct FileError: Error, CustomStringConvertible, Equatable {
    /// A verb phrase: `write`, `rename`, `create folder`.
    package let operation: String
    package let path: String
    /// The system's `errno`.
    package let code: Int32
    /// The bytes that the operation wanted to store, where known.
    package let bytesNeeded: Int64?
    /// The bytes that were free on the disk of `path`, where known.
    package let bytesFree: Int64?

    package init(
        _ operation: String, _ path: String, code: Int32, bytesNeeded: Int64? = nil, bytesFree: Int64? = nil
    ) {
        self.operation = operation
        self.path = path
        self.code = code
        self.bytesNeeded = bytesNeeded
        self.bytesFree = bytesFree
    }

    package var description: String {
        var text = "cannot \(operation) \(path): \(Self.text(of: code))"
        switch (bytesNeeded, bytesFree) {
        case (let needed?, let free?):
            text += ", \(ByteCount.format(needed)) needed, \(ByteCount.format(free)) free"
        case (let needed?, nil): text += ", \(ByteCount.format(needed)) needed"
        case (nil, let free?): text += ", \(ByteCount.format(free)) free"
        case (nil, nil): break
        }
        if let advice { text += "; \(advice)" }
        return text
    }

    /// What to try, for the errors a user can do something about.
    private var advice: String? {
        switch code {
        case ENOSPC, EDQUOT: "free some space, or choose a folder on another disk (--output_dir)"
        case EACCES, EPERM: "choose a folder you may write to (--output_dir), or change its permissions"
        case EROFS: "this disk is mounted read-only: choose another folder (--output_dir)"
        case EIO: "the disk may be failing: see the kernel's log (dmesg), and choose another disk (--output_dir)"
        case ENOENT: "check the path"
        case ENOTDIR: "a part of this path is a file, not a folder"
        case EMFILE, ENFILE: "raise the limit of open files (ulimit -n)"
        case ENAMETOOLONG: "choose a shorter path"
        default: nil
        }
    }

    private static func text(of code: Int32) -> String {
        String(cString: strerror(code))
    }
}
