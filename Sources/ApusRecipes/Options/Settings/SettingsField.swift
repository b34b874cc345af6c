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
        write: @escaping @Sendable (inout Settings, OptionValue) -> Bool
    ) {
        (self.name, self.affectsNumbers, self.read, self.write) = (name, affectsNumbers, read, write)
    }

    /// The field of a part as a field of the whole.
    func inside<Whole>(_ part: any WritableKeyPath<Whole, Settings> & Sendable) -> SettingsField<Whole> {
        SettingsField<Whole>(
            name, affectsNumbers: affectsNumbers, read: { [read] in read($0[keyPath: part]) },
            write: { [write] whole, value in write(&whole[keyPath: part], value) })
    }

    /// The field with its default, where that depends on more than the part it belongs to.
    fileprivate func resolved(
        by property: any KeyPath<Settings, some OptionConvertible> & Sendable
    ) -> SettingsField {
        SettingsField(
            name, affectsNumbers: affectsNumbers, read: { $0[keyPath: property].optionValue }, write: write)
    }
}

/// Settings that belong together and that several commands have.
package protocol SettingsPart: Sendable {
    /// One field for each option, in the order of `args.json`.
    static var fields: [SettingsField<Self>] { get }
}

extension CommandSettings {
    /// The fields of a part for which the command has an option; what else the part holds keeps its default.
    static func fields<Part: SettingsPart>(
        of part: any WritableKeyPath<Self, Part> & Sendable
    ) -> [SettingsField<Self>] {
        let table = OptionTable.table(for: command)
        return Part.fields.filter { table[$0.name]?.status == .supported }.map { $0.inside(part) }
    }
}

extension Array {
    /// The fields with one of them read through a property that knows its default.
    ///
    /// - Precondition: There is such a field.
    func resolving<Settings>(
        _ name: String, _ property: any KeyPath<Settings, some OptionConvertible> & Sendable
    ) -> [SettingsField<Settings>] where Element == SettingsField<Settings> {
        precondition(contains { $0.name == name }, "\(name) is no field of these settings")
        return map { $0.name == name ? $0.resolved(by: property) : $0 }
    }
}
