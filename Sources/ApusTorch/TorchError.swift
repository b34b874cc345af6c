import CTorch

/// What libtorch refused to do, in its own words, without a backtrace.
public struct TorchError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable {
        case invalidOperation
        case outOfMemory
        case other
    }

    public let kind: Kind
    public let message: String

    public init(kind: Kind, message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String {
        kind == .outOfMemory
            ? "out of memory: \(message). Try a smaller batch, a smaller --max_length, or --gradient_checkpointing true."
            : message
    }

    /// The error of the last failed call on this thread.
    static func last() -> TorchError {
        let message = String(cString: ct_error_message())
        // Memory of tensors on the CPU says what it is; allocators of other devices and of libraries say it in words alone.
        let isMemory =
            ct_error_kind() == Int32(CT_ERROR_OUT_OF_MEMORY)
            || message.contains("can't allocate memory") || message.contains("not enough memory")
        let kind: Kind =
            isMemory ? .outOfMemory : ct_error_kind() == Int32(CT_ERROR_TORCH) ? .invalidOperation : .other
        let firstLine = message.split(separator: "\n", omittingEmptySubsequences: true).first.map(String.init)
        return TorchError(kind: kind, message: isMemory ? firstLine ?? message : message)
    }
}
