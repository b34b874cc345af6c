import Foundation

/// The folder of the user, for which `~` stands at the beginning of a path.
package enum HomeFolder {
    /// What `HOME` says, as for the hubs' own programs; where it says nothing, what the system has on record.
    package static func path(_ environment: [String: String]) -> String {
        let named = environment["HOME"] ?? ""
        return named.isEmpty ? NSHomeDirectory() : named
    }

    /// The path with the folder in place of a `~` that stands alone or before a slash; any other as it is.
    package static func expand(_ path: String, home: String) -> String {
        guard path == "~" || path.hasPrefix("~/") else { return path }
        var home = home[...]
        while home.hasSuffix("/") { home.removeLast() }
        let whole = home + path.dropFirst()
        return whole.isEmpty ? "/" : String(whole)
    }
}
