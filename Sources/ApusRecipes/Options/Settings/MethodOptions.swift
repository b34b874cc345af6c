import ApusAdapters
import ApusJSON
import ApusLanguageModel

/// The values of the options that methods of adapters declare themselves, beside those that are properties.
package struct MethodOptions: Sendable {
    private var given: [String: OptionValue] = [:]

    package init() {}

    /// The value of an option by its name: what was given, or its default.
    package subscript(name: String) -> OptionValue? {
        get {
            if let value = given[name] { return value }
            return AdapterMethods.option(name)?.optionValue
        }
        set { given[name] = newValue }
    }

    /// A field for each option that is no property of the settings already.
    static func fields<Settings>(
        _ property: any WritableKeyPath<Settings, MethodOptions> & Sendable, beside names: [String]
    ) -> [SettingsField<Settings>] {
        AdapterMethods.options.map(\.name).filter { !names.contains($0) }.map { field($0, property) }
    }

    /// The field of one of the options.
    static func field<Settings>(
        _ name: String, _ property: any WritableKeyPath<Settings, MethodOptions> & Sendable
    ) -> SettingsField<Settings> {
        SettingsField(name, affectsNumbers: true) {
            $0[keyPath: property][name]
        } write: { settings, value in
            settings[keyPath: property][name] = value
            return true
        }
    }
}

extension AdapterOption {
    /// How the option is read.
    var optionKind: OptionKind {
        switch kind {
        case .integer(let range): .integer(range)
        case .number(let range): .number(.from(range.lowerBound, below: range.upperBound))
        case .boolean: .boolean
        case .text: .text
        case .list: .list
        case .choice(let words, let later): .choice(words, later: later)
        }
    }

    /// Its default, as the option's kind has it.
    var optionValue: OptionValue? {
        switch kind {
        case .integer: defaultValue.intValue.map(OptionValue.integer)
        case .number: defaultValue.doubleValue.map(OptionValue.number)
        case .boolean: defaultValue.boolValue.map(OptionValue.boolean)
        case .text, .choice: defaultValue.stringValue.map(OptionValue.text)
        case .list: defaultValue.arrayValue.map { .list($0.compactMap(\.stringValue)) }
        }
    }
}

extension AdapterSettings {
    /// What settings say of the options of all methods.
    ///
    /// - Parameter model: Where layers are looked for; nil where none is chosen yet.
    init(_ settings: TunerSettings, modelType: String?, on model: (any TextModel)? = nil) {
        self.init()
        let names = model.map { TargetModules.spelledOut(settings.targetModules, on: $0, heads: $0.headNames) }
        targets = TargetModules(names ?? settings.targetModules, regex: settings.targetRegex)
        self.modelType = modelType
        for field in TunerSettings.fields {
            guard let option = AdapterMethods.option(field.name),
                let value = field.read(settings)
            else { continue }
            self[option] = value.plainJSON
        }
    }
}

extension TargetModules {
    init(_ names: [String], regex: String?) {
        if let regex {
            self = .pattern(regex)
        } else if names.contains("all-linear") {
            self = .allLinear
        } else {
            self = names == ["auto"] ? .automatic : .names(names)
        }
    }
}
