/// The link between an option and the property of a settings struct that holds it.
package struct SettingsField<Settings>: Sendable {
    package let name: String
    package let read: @Sendable (Settings) -> OptionValue?
    /// False when the value is not of the property's type.
    package let write: @Sendable (inout Settings, OptionValue) -> Bool

    init<Value: OptionConvertible>(_ name: String, _ property: any WritableKeyPath<Settings, Value> & Sendable) {
        self.name = name
        read = { $0[keyPath: property].optionValue }
        write = { settings, value in
            guard let converted = Value(value) else { return false }
            settings[keyPath: property] = converted
            return true
        }
    }
}
