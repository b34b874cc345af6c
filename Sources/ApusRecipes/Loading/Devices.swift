import ApusTorch

/// The device that settings name.
enum Devices {
    static func device(_ kind: DeviceKind?) throws -> Device {
        switch kind {
        case .cuda: .cuda(0)
        case .mps: .mps
        case .cpu: .cpu
        case nil: Device.fastest
        }
    }
}
