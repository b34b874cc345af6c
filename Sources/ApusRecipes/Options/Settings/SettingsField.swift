/// The link between an option and the property of a settings struct that holds it.
package struct SettingsField<Settings>: Sendable {
    package let name: String
    /// Whether a run with another value computes other numbers from the same data, so that it cannot go on from a
    /// checkpoint made with this one.
    ///
    /// What only chooses or changes the data does not: the data themselves are compared.
    package let affectsNumbers: Bool
    package let read: @Sendable (Settings) -> OptionValue?
    /// False when the value is not of the property's type.
    package let write: @Sendable (inout Settings, OptionValue) -> Bool

    init<Value: OptionConvertible>(
        _ name: String, _ property: any WritableKeyPath<Settings, Value> & Sendable, affectsNumbers: Bool = false
    ) {
        self.name = name
        self.affectsNumbers = affectsNumbers
        read = { $0[keyPath: property].optionValue }
        write = { settings, value in
            guard let converted = Value(value) else { return false }
            settings[keyPath: property] = converted
            return true
        }
    }

    init(
        _ name: String, affectsNumbers: Bool, read: @escaping @Sendable (Settings) -> OptionValue?,
        write: @escaping @Sendable (inout Settings, OptionValue) -> Void
    ) {
        self.name = name
        self.affectsNumbers = affectsNumbers
        self.read = read
        self.write = { settings, value in
            write(&settings, value)
            return true
        }
    }
}
