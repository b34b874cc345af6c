internal import CTorch

/// The memory of a device other than the CPU, in bytes.
public struct DeviceMemory: Sendable, Equatable {
    /// What tensors take now, and took at most.
    public let used: Int
    public let peak: Int
    /// What is free, and what there is.
    public let free: Int
    public let total: Int
}

extension Device {
    /// The memory of this device; nil on the CPU, whose memory is the system's, and where the device does not say.
    public var memory: DeviceMemory? {
        guard self != .cpu else { return nil }
        var figures: [Int64] = [0, 0, 0, 0]
        guard ct_device_memory(type, index, &figures) == 0 else { return nil }
        return DeviceMemory(
            used: Int(figures[0]), peak: Int(figures[1]), free: Int(figures[2]), total: Int(figures[3]))
    }
}
