import Synchronization

/// What a task hands to the thread that waits for it.
final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)

    func set(_ result: Result<Value, any Error>) {
        self.result.withLock { $0 = result }
    }

    /// - Precondition: The result was set.
    func get() throws -> Value {
        guard let result = result.withLock({ $0 }) else { preconditionFailure("asked before the work had ended") }
        return try result.get()
    }
}
