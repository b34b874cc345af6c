/// Paths as text: `/` separates, nothing is resolved.
package enum FilePath {
    package static func join(_ folder: String, _ name: String) -> String {
        if folder.isEmpty { return name }
        return folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// The folder that holds `path`: `a/b` → `a`, `a` → `.`, `/a` → `/`, `/` → `/`.
    package static func parent(of path: String) -> String {
        let path = trimmed(path)
        guard let slash = path.lastIndex(of: "/") else { return "." }
        let parent = trimmed(String(path[..<slash]))
        return parent.isEmpty ? "/" : parent
    }

    /// `a/b/` → `b`.
    package static func lastComponent(of path: String) -> String {
        let path = trimmed(path)
        guard let slash = path.lastIndex(of: "/") else { return path }
        return String(path[path.index(after: slash)...])
    }

    /// Whether `name` stays inside the folder it is joined to: relative, with no empty, `.` or `..` part.
    package static func isInside(_ name: String) -> Bool {
        !name.utf8.contains(0)
            && name.split(separator: "/", omittingEmptySubsequences: false)
                .allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }

    private static func trimmed(_ path: String) -> String {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }
}
