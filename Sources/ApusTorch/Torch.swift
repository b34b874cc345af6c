internal import CTorch

/// The process-wide settings and figures of libtorch.
public enum Torch {
    public static var version: String { String(cString: ct_torch_version()) }

    /// How many threads an operation may use.
    public static var threads: Int { Int(ct_threads()) }

    public static func setThreads(_ count: Int) { ct_set_threads(Int32(count)) }

    /// Tensors of this process that are alive.
    package static var liveTensors: Int { Int(ct_live_tensors()) }

    /// Keeps freed memory for the next large tensor, for a process that trains.
    ///
    /// Otherwise each large temporary is mapped, cleared and unmapped by the system: 16 % of a LoRA step.
    package static func keepHeap() { ct_keep_heap() }
}
