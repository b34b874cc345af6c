/// The arguments of one call, and their matching with a parameter list.
struct JinjaArguments {
    var positional: [JinjaValue] = []
    var named: [(name: String, value: JinjaValue)] = []

    /// The arguments in the order of `parameters`, nil where left out.
    ///
    /// - Parameters:
    ///   - function: For error messages.
    ///   - required: How many of the first parameters must be given.
    func matched(_ function: String, _ parameters: [String], required: Int = 0) throws -> [JinjaValue?] {
        guard positional.count <= parameters.count else {
            throw JinjaError.value(
                "\(function) takes at most \(parameters.count) argument(s), got \(positional.count)")
        }
        var values: [JinjaValue?] = positional + Array(repeating: nil, count: parameters.count - positional.count)
        for (name, value) in named {
            guard let index = parameters.firstIndex(of: name) else {
                throw JinjaError.value("\(function) has no parameter '\(name)'")
            }
            guard values[index] == nil else { throw JinjaError.value("\(function): '\(name)' is given twice") }
            values[index] = value
        }
        for index in 0..<required where values[index] == nil {
            throw JinjaError.value("\(function): the argument '\(parameters[index])' is missing")
        }
        return values
    }

    /// The single argument of a call.
    func one(_ function: String, _ parameter: String) throws -> JinjaValue {
        guard let value = try matched(function, [parameter], required: 1)[0] else {
            throw JinjaError.value("\(function): the argument '\(parameter)' is missing")
        }
        return value
    }
}

extension JinjaValue? {
    /// An integer argument, or its default where the argument was left out.
    func integer(_ what: String, default fallback: Int) throws -> Int {
        guard let self else { return fallback }
        guard let value = self.integer else {
            throw JinjaError.value("\(what) must be an integer, not '\(self.typeName)'")
        }
        return value
    }

    /// A string argument, nil where it was left out or None.
    func textOrNone(_ what: String) throws -> JinjaText? {
        guard let self, !self.isNone else { return nil }
        return try self.requiredText(what)
    }

    func isTrue(default fallback: Bool) throws -> Bool { try self?.isTrue() ?? fallback }
}

extension JinjaValue {
    func requiredText(_ what: String) throws -> JinjaText {
        if case .undefined(let undefined) = self { throw undefined.error }
        guard let text else { throw JinjaError.value("\(what) must be a string, not '\(typeName)'") }
        return text
    }
}
