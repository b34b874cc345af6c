import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// What a path leads to that a user gives for output, with links followed.
///
/// A file may be replaced by a whole new one under its name. A device, a pipe or a socket must not be: its name would
/// then stand for a plain file, for everyone on the machine.
package enum OutputTarget: Sendable, Equatable {
    /// Nothing yet; a file that is made goes to this path, which is where the last link points.
    case absent(String)
    /// A file, by its own name.
    case file(String)
    case folder
    /// What is written to as it stands, and only from front to back.
    case stream

    package init(_ path: String) {
        var info = stat()
        // What cannot be looked up is found out by whoever writes there, who can say why.
        guard stat(path, &info) == 0 else {
            self = .absent(Self.end(of: path))
            return
        }
        switch info.st_mode & S_IFMT {
        case S_IFDIR: self = .folder
        // Standard output may be a file, which others are writing too.
        case S_IFREG: self = Self.isOfTheSystem(path) ? .stream : .file(Self.end(of: path))
        default: self = .stream
        }
    }

    /// Whether two paths lead to the same file.
    package static func isSame(_ first: String, _ second: String) -> Bool {
        var (one, other) = (stat(), stat())
        guard stat(first, &one) == 0, stat(second, &other) == 0 else { return false }
        return one.st_dev == other.st_dev && one.st_ino == other.st_ino
    }

    /// Names that the system gives to what is open.
    private static let open = ["/dev/fd/", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/proc/"]

    private static func isOfTheSystem(_ path: String) -> Bool {
        let end = end(of: path, staying: open)
        return open.contains(where: end.hasPrefix)
    }

    /// The path behind the links at its end.
    ///
    /// - Parameter folders: Where no link is followed any more.
    private static func end(of path: String, staying folders: [String] = []) -> String {
        var path = path
        // As many as the system itself follows.
        for _ in 0..<40 where !folders.contains(where: path.hasPrefix) {
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) else { break }
            path = target.hasPrefix("/") ? target : FilePath.join(FilePath.parent(of: path), target)
        }
        return path
    }
}
