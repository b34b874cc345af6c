package import ApusJSON

/// An option that a method declares: what a command line calls it, what it takes, and what holds without it.
///
/// Names are ms-swift's; where ms-swift has none, PEFT's of the same thing.
package struct AdapterOption: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case integer(ClosedRange<Int>)
        /// Numbers of a half-open interval.
        case number(Range<Double>)
        case boolean
        case text
        case list
        /// `later` are words that ms-swift also takes and that are not there yet.
        case choice([String], later: [String] = [])
    }

    package let name: String
    package let kind: Kind
    /// Null where nothing holds.
    package let defaultValue: JSONValue
    /// One line for the help page.
    package let help: String
    /// Whether it decides how many parameters are trained, or limits what does.
    package let decidesCount: Bool
    /// What must hold for it to be read.
    package let conditions: [Condition]

    /// A choice of another option.
    package struct Condition: Sendable, Equatable {
        package let option: String
        /// Its values, as a command line has them, in lower case.
        package let words: [String]

        init(_ option: String, _ words: String...) { (self.option, self.words) = (option, words) }
    }

    package init(
        _ name: String, _ kind: Kind, default defaultValue: JSONValue = nil, _ help: String,
        decidesCount: Bool = false, onlyWith conditions: [Condition] = []
    ) {
        self.conditions = conditions
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.help = help
        self.decidesCount = decidesCount
    }

    /// Counts beyond this are slips; files hold no larger ones.
    package static let counts = 1...(1 << 20)
}

/// What a command line says of the adapter to be made; each method reads the options it declares.
package struct AdapterSettings: Sendable {
    package var targets = TargetModules.allLinear
    /// `model_type` of the model's `config.json`, for choices that depend on the architecture.
    package var modelType: String?
    /// The folder of the model and its tokenizer, for methods that start from a text.
    package var tokenizer: String?

    private var values: [String: JSONValue] = [:]

    package init() {}

    /// What was given for an option, or its default.
    package subscript(option: AdapterOption) -> JSONValue {
        get { values[option.name] ?? option.defaultValue }
        set { values[option.name] = newValue }
    }

    package func integer(_ option: AdapterOption) throws -> Int { try read(option, \.intValue) }
    package func number(_ option: AdapterOption) throws -> Double { try read(option, \.doubleValue) }
    package func flag(_ option: AdapterOption) throws -> Bool { try read(option, \.boolValue) }
    package func text(_ option: AdapterOption) throws -> String { try read(option, \.stringValue) }

    private func read<Value>(_ option: AdapterOption, _ read: (JSONValue) -> Value?) throws -> Value {
        guard let value = read(self[option]) else {
            throw AdapterError("--\(option.name) is \(self[option].serialized()), which is not of the kind it takes")
        }
        return value
    }
}
