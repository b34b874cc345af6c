import ApusJSON

extension JinjaValue {
    /// The template value of JSON data.
    ///
    /// - Throws: `JinjaError` of kind `.limit` when the data is nested more deeply than templates may.
    init(_ json: JSONValue, maximumDepth: Int = JinjaLimits().valueDepth) throws {
        guard maximumDepth > 0 else { throw JinjaError.limit("the data is nested too deeply for a template") }
        switch json {
        case .null: self = .none
        case .bool(let flag): self = .bool(flag)
        case .int(let number): self = .int(number)
        case .double(let number): self = .double(number)
        case .number(let digits) where digits.allSatisfy { "-0123456789".contains($0) }: self = .digits(digits)
        case .number: self = .double(json.doubleValue ?? .infinity)
        case .string(let text): self = .text(text)
        case .array(let values):
            let items = try values.map { try JinjaValue($0, maximumDepth: maximumDepth - 1) }
            self = .list(JinjaList(items, depth: items.reduce(0) { max($0, $1.depth) } + 1))
        case .object(let object):
            let dictionary = JinjaDictionary()
            for (key, value) in object {
                try dictionary.set(.text(key), try JinjaValue(value, maximumDepth: maximumDepth - 1))
            }
            self = .dictionary(dictionary)
        }
    }
}
