internal import CTorch

/// The process-wide settings and figures of libtorch.
public enum Torch {
    public static var version: String { String(cString: ct_torch_version()) }

    /// How many threads an operation may use.
    public static var threads: Int { Int(ct_threads()) }

    public static func setThreads(_ count: Int) { ct_set_threads(Int32(count)) }

    /// Tensors of this process that are alive.
    package static var liveTensors: Int { Int(ct_live_tensors()) }

    /// Gives freed memory back to the system.
    package static func trimHeap() { ct_trim_heap() }
}
