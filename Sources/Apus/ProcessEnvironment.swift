import Foundation

/// What the library finds in the environment of its process: the folder of the user, the caches of the hubs, where programs lie.
enum ProcessEnvironment {
    static var variables: [String: String] { ProcessInfo.processInfo.environment }
}
