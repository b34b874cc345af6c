package import ApusTorch

/// Where to compute.
package struct DeviceSettings: Sendable {
    /// The device; nil takes the fastest there is.
    package var device: Device?
    /// The same as `device` being `cpu`.
    package var useCPU = false

    package init() {}

    /// The device to compute on.
    var chosen: Device { device ?? .fastest }
}

extension DeviceSettings: SettingsPart {
    package static let fields: [SettingsField<DeviceSettings>] = [
        SettingsField("device", \.device),
        SettingsField("use_cpu", \.useCPU),
    ]

    /// Settles what the two ask for together.
    ///
    /// - Throws: `SettingsError` where they contradict each other.
    mutating func settle() throws {
        guard useCPU else { return }
        guard device == nil || device == .cpu else {
            throw SettingsError(
                "--use_cpu true and --device \(device?.optionValue?.helpText ?? "") contradict each other. "
                    + "Give one of them.")
        }
        device = .cpu
    }
}
