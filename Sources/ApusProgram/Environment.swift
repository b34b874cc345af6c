import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The environment that a configuration file asks for.
enum Environment {
    /// Names through which a file could make the program load other code; a settings file may not.
    private static let refused = ["LD_", "DYLD_", "PYTHON"]

    /// Sets the variables that do not exist yet.
    ///
    /// - Returns: A line for each variable that was left as it is.
    static func apply(_ variables: [(name: String, value: String)]) -> [String] {
        var notices: [String] = []
        for (name, value) in variables {
            let existing = ProcessInfo.processInfo.environment[name]
            if name.isEmpty || name.contains("=") || refused.contains(where: { name.uppercased().hasPrefix($0) }) {
                notices.append("ENV: \(name) is not set, because a configuration file may not.")
            } else if let existing, existing != value {
                notices.append("ENV: \(name) is already \"\(existing)\"; the file's \"\(value)\" is not used.")
            } else if existing == nil {
                setenv(name, value, 1)
            }
        }
        return notices
    }
}
