package import ApusJSON

/// The names of classes by their numbers, as `id2label` and `label2id` of a `config.json` have them.
package struct LabelMap: Sendable, Equatable, CustomStringConvertible {
    /// The name of class i at place i.
    package let names: [String]
    private let numbers: [String: Int]

    /// - Throws: `DatasetError` when there is no name, or one twice.
    package init(names: [String]) throws {
        guard !names.isEmpty else { throw DatasetError("id2label names no class") }
        var numbers: [String: Int] = [:]
        for (number, name) in names.enumerated() {
            if let other = numbers.updateValue(number, forKey: name) {
                throw DatasetError("id2label: classes \(other) and \(number) are both called \"\(name)\"")
            }
        }
        self.names = names
        self.numbers = numbers
    }

    /// Reads `id2label`: names by number, the numbers 0 to n − 1 in any order.
    ///
    /// - Throws: `DatasetError` when it is not that.
    package init(id2label: JSONValue) throws {
        guard let object = id2label.objectValue else {
            throw DatasetError("id2label is \(id2label.kind), not an object such as {\"0\": \"negative\"}")
        }
        var names = [String?](repeating: nil, count: object.count)
        for (key, value) in object {
            guard let number = Int(key), names.indices.contains(number), names[number] == nil,
                let name = value.stringValue
            else {
                throw DatasetError(
                    "id2label: \"\(key)\": \(value.excerpt) is not a name for one of the classes 0 to \(object.count - 1)"
                )
            }
            names[number] = name
        }
        try self.init(names: names.compactMap { $0 })
    }

    package var count: Int { names.count }

    /// Whether the names say nothing: `LABEL_0`, `LABEL_1` … stand in every config that was given no names.
    package var isPlaceholder: Bool { names.enumerated().allSatisfy { $1 == "LABEL_\($0)" } }

    package func number(of name: String) -> Int? { numbers[name] }

    /// For `config.json`.
    package var id2label: JSONObject {
        names.enumerated().reduce(into: JSONObject()) { $0["\($1.offset)"] = .string($1.element) }
    }

    /// For `config.json`.
    package var label2id: JSONObject {
        names.enumerated().reduce(into: JSONObject()) { $0[$1.element] = .int($1.offset) }
    }

    /// `0 = negative, 1 = positive`.
    package var description: String {
        let shown = names.prefix(20).enumerated().map { "\($0) = \($1)" }.joined(separator: ", ")
        return names.count > 20 ? "\(shown) … \(names.count - 1) = \(names[names.count - 1])" : shown
    }
}
