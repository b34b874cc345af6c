import ApusTorch

extension Device {
    /// Makes the device usable.
    ///
    /// - Throws: `SettingsError` for a device that is not there, with what to do.
    func open() throws {
        do {
            try prepare()
        } catch let error as TorchError {
            let said = "\(error)"
            throw SettingsError(
                said.hasPrefix("--device")
                    ? said
                    : "--device \(self): \(said). Leave --device out to compute where it is possible, or for CUDA run "
                        + "`make setup CUDA=1`.")
        }
    }
}
