package import ApusJSON

/// Reads a JSON schema as the texts of the values that it allows.
///
/// Values are written on one line, with at most one space behind `,` and `:`. Objects have their properties in the order of the
/// schema, and no others unless `additionalProperties` asks for them, which then have other names. Whole numbers have at most
/// 16 digits, fractions as many. What a schema says and cannot be kept is an error, never passed over; words without a meaning
/// for values (`title`, `description`, `default` …) are.
struct JSONSchemaReader {
    typealias Pattern = ByteGrammar.Pattern

    private let root: JSONValue
    private var rules: [Pattern] = [.nothing]
    /// The rules of schemas that are referred to, by where they stand.
    private var references: [String: Int] = [:]
    private var anyValueRule: Int?
    private var depth = 0

    private init(_ root: JSONValue) { self.root = root }

    /// - Throws: `GrammarError` with the path of what cannot be followed.
    static func rules(_ schema: JSONValue) throws -> [Pattern] {
        var reader = JSONSchemaReader(schema)
        reader.rules[0] = try reader.pattern(schema, "#")
        return reader.rules
    }

    private mutating func rule(_ make: (inout Self) throws -> Pattern) rethrows -> Pattern {
        let number = rules.count
        rules.append(.nothing)
        rules[number] = try make(&self)
        return .rule(number)
    }

    // MARK: - Schemas

    /// Words that say nothing of what a value may be.
    private static let idle: Set<String> = [
        "title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "$defs", "definitions",
        "deprecated", "readOnly", "writeOnly", "$anchor",
    ]

    private mutating func pattern(_ schema: JSONValue, _ path: String) throws -> Pattern {
        depth += 1
        defer { depth -= 1 }
        guard depth <= 100 else { throw GrammarError("\(path): schemas are more than 100 deep in each other") }
        if schema.boolValue == true { return anyValue() }
        guard let object = schema.objectValue else {
            throw GrammarError("\(path): wanted a schema, which is an object or true")
        }
        var words = Set(object.keys).subtracting(Self.idle)
        func isGiven(_ word: String) -> Bool { words.remove(word) != nil }

        let pattern: Pattern
        if isGiven("$ref") {
            pattern = try reference(object["$ref"], path)
        } else if isGiven("const") {
            pattern = try literals([object["const"] ?? .null], object, path)
            words.remove("type")
        } else if isGiven("enum") {
            guard let values = object["enum"]?.arrayValue, !values.isEmpty else {
                throw GrammarError("\(path)/enum: wanted a list of values")
            }
            pattern = try literals(values, object, path)
            words.remove("type")
        } else if let word = ["anyOf", "oneOf", "allOf"].first(where: { isGiven($0) }) {
            guard let schemas = object[word]?.arrayValue, !schemas.isEmpty else {
                throw GrammarError("\(path)/\(word): wanted a list of schemas")
            }
            guard word != "allOf" || schemas.count == 1 else {
                throw GrammarError("\(path)/allOf: several schemas at once cannot be followed; write them as one")
            }
            pattern = .choice(
                try schemas.enumerated().map { try self.pattern($1, "\(path)/\(word)/\($0)") })
        } else {
            let types = try self.types(object, path)
            words.remove("type")
            pattern = .choice(
                try types.map { type in
                    let (pattern, read) = try self.pattern(ofType: type, object, path)
                    words.subtract(read)
                    return pattern
                })
        }
        guard words.isEmpty else {
            throw GrammarError(
                "\(path): \(words.sorted().map { "\"\($0)\"" }.joined(separator: ", ")) cannot be followed")
        }
        return pattern
    }

    /// Those of some values that are of the types that the schema names.
    private func literals(_ values: [JSONValue], _ object: JSONObject, _ path: String) throws -> Pattern {
        let types = try object["type"] == nil ? ["any"] : self.types(object, path)
        let allowed = values.filter { value in
            types.contains { type in
                switch (type, value) {
                case ("any", _), ("null", .null), ("boolean", .bool), ("integer", .int), ("number", .int),
                    ("number", .double), ("number", .number), ("string", .string), ("array", .array),
                    ("object", .object):
                    true
                case ("integer", .double(let number)): number == number.rounded()
                case ("integer", .number(let digits)): digits.allSatisfy { $0.isNumber || $0 == "-" }
                default: false
                }
            }
        }
        guard !allowed.isEmpty else {
            throw GrammarError("\(path): no value is of the type \(types.joined(separator: ", "))")
        }
        return .choice(allowed.map(literal))
    }

    private func types(_ object: JSONObject, _ path: String) throws -> [String] {
        if let type = object["type"]?.stringValue { return [type] }
        if let types = object["type"]?.arrayValue?.compactMap(\.stringValue), !types.isEmpty { return types }
        if let type = object["type"] { throw GrammarError("\(path)/type: got \(type.serialized()), wanted a word") }
        if object["properties"] != nil || object["additionalProperties"] != nil { return ["object"] }
        if object["items"] != nil || object["prefixItems"] != nil { return ["array"] }
        if object["pattern"] != nil || object["maxLength"] != nil || object["format"] != nil { return ["string"] }
        return ["any"]
    }

    /// - Returns: The values of a type, and the words of the schema that were read.
    private mutating func pattern(
        ofType type: String, _ object: JSONObject, _ path: String
    ) throws -> (Pattern, Set<String>) {
        switch type {
        case "any": return (anyValue(), [])
        case "null": return (.text("null"), [])
        case "boolean": return (.choice([.text("true"), .text("false")]), [])
        case "integer":
            let limits = try JSONNumberPatterns.limits(object, path)
            return (try JSONNumberPatterns.integers(limits, path), JSONNumberPatterns.words)
        case "number":
            let given = JSONNumberPatterns.words.filter { object[$0] != nil }
            guard given.isEmpty || given == ["minimum"] && object["minimum"]?.doubleValue == 0 else {
                throw GrammarError(
                    "\(path): limits of numbers with fractions cannot be followed (\(given.sorted().joined(separator: ", "))); "
                        + "\"type\": \"integer\" can have them")
            }
            return (JSONNumberPatterns.numbers(from0: !given.isEmpty), JSONNumberPatterns.words)
        case "string": return (try JSONStringPatterns.pattern(object, path), JSONStringPatterns.words)
        case "array": return (try array(object, path), ["items", "prefixItems", "minItems", "maxItems"])
        case "object": return (try self.object(object, path), ["properties", "required", "additionalProperties"])
        default:
            throw GrammarError(
                "\(path)/type: got \"\(type)\", wanted object, array, string, number, integer, boolean or null")
        }
    }

    private mutating func reference(_ value: JSONValue?, _ path: String) throws -> Pattern {
        guard let name = value?.stringValue, name.hasPrefix("#") else {
            throw GrammarError("\(path)/$ref: only references into the schema itself (#/…) can be followed")
        }
        if let rule = references[name] { return .rule(rule) }
        var target = root
        for part in name.dropFirst().split(separator: "/") {
            let key = part.replacing("~1", with: "/").replacing("~0", with: "~")
            let inner =
                target.objectValue?[String(key)]
                ?? Int(String(key)).flatMap { index in
                    target.arrayValue.flatMap { $0.indices.contains(index) ? $0[index] : nil }
                }
            guard let inner else { throw GrammarError("\(path)/$ref: there is no \(name)") }
            target = inner
        }
        let number = rules.count
        references[name] = number
        rules.append(.nothing)
        rules[number] = try pattern(target, name)
        return .rule(number)
    }

    // MARK: - Values

    private static let comma = Pattern.sequence([.text(","), .optional(.text(" "))])
    private static let colon = Pattern.sequence([.text(":"), .optional(.text(" "))])

    /// The longest name of a property beside which there may be others.
    private static let longestName = 256

    /// One value alone.
    private func literal(_ value: JSONValue) -> Pattern {
        func joined(_ open: String, _ parts: [Pattern], _ close: String) -> Pattern {
            .sequence(
                [.text(open)] + parts.enumerated().flatMap { $0 == 0 ? [$1] : [Self.comma, $1] } + [.text(close)])
        }
        return switch value {
        case .array(let values): joined("[", values.map(literal), "]")
        case .object(let object):
            joined("{", object.map { .sequence([literal(.string($0)), Self.colon, literal($1)]) }, "}")
        default: .text(value.serialized())
        }
    }

    /// Any value at all.
    private mutating func anyValue() -> Pattern {
        if let anyValueRule { return .rule(anyValueRule) }
        let number = rules.count
        anyValueRule = number
        rules.append(.nothing)
        let value = Pattern.rule(number)
        let pair = Pattern.sequence([JSONStringPatterns.any, Self.colon, value])
        rules[number] = .choice([
            JSONStringPatterns.any, JSONNumberPatterns.numbers(from0: false), .text("true"), .text("false"),
            .text("null"),
            .sequence([.text("["), Self.list(of: value, from: 0, upTo: nil), .text("]")]),
            .sequence([.text("{"), Self.list(of: pair, from: 0, upTo: nil), .text("}")]),
        ])
        return value
    }

    /// Parts with commas between them.
    private static func list(of part: Pattern, from: Int, upTo: Int?) -> Pattern {
        if upTo == 0 { return .nothing }
        let more = Pattern.sequence([comma, part])
        let some = Pattern.sequence([
            part, .repeated(more, from: max(0, from - 1), upTo: upTo.map { $0 - 1 }),
        ])
        return from == 0 ? .optional(some) : some
    }

    private mutating func array(_ object: JSONObject, _ path: String) throws -> Pattern {
        let from = try JSONStringPatterns.count(object, "minItems", path) ?? 0
        let upTo = try JSONStringPatterns.count(object, "maxItems", path)
        if let upTo, upTo < from { throw GrammarError("\(path): maxItems is less than minItems") }
        if let first = object["prefixItems"] {
            guard let schemas = first.arrayValue, !schemas.isEmpty,
                object["items"].map({ $0.boolValue == false }) ?? true,
                from <= schemas.count, upTo.map({ $0 >= schemas.count }) ?? true
            else {
                throw GrammarError("\(path)/prefixItems: wanted a list of schemas, and no other items beside them")
            }
            let parts = try schemas.enumerated().map { try pattern($1, "\(path)/prefixItems/\($0)") }
            return .sequence(
                [.text("["), parts[0]] + parts.dropFirst().flatMap { [Self.comma, $0] } + [.text("]")])
        }
        let items = object["items"] ?? .bool(true)
        let value = try rule { try $0.pattern(items, "\(path)/items") }
        return .sequence([.text("["), Self.list(of: value, from: from, upTo: upTo), .text("]")])
    }

    private mutating func object(_ object: JSONObject, _ path: String) throws -> Pattern {
        guard let properties = object["properties"].map(\.objectValue) ?? JSONObject() else {
            throw GrammarError("\(path)/properties: wanted an object of schemas")
        }
        let names = (object["required"] ?? []).arrayValue?.map(\.stringValue)
        guard let names, !names.contains(nil) else { throw GrammarError("\(path)/required: wanted a list of names") }
        let required = Set(names.compactMap(\.self))
        if let unknown = required.first(where: { properties[$0] == nil }) {
            throw GrammarError("\(path)/required: there is no property \"\(unknown)\"")
        }
        var others: Pattern?
        switch object["additionalProperties"] {
        case nil: others = properties.isEmpty ? anyValue() : nil
        case .bool(false)?: break
        case let schema?: others = try rule { try $0.pattern(schema, "\(path)/additionalProperties") }
        }
        let pairs = try properties.map { name, schema in
            let value = try rule { try $0.pattern(schema, "\(path)/properties/\(name)") }
            return (
                isRequired: required.contains(name),
                pattern: Pattern.sequence([literal(.string(name)), Self.colon, value])
            )
        }
        // What follows the first properties, as the last of the whole or behind others: made from the back, and each once.
        var (first, behind) = (Pattern.nothing, Pattern.nothing)
        if let others {
            guard properties.keys.allSatisfy({ $0.unicodeScalars.count <= Self.longestName }) else {
                throw GrammarError(
                    "\(path)/additionalProperties: a property's name of more than \(Self.longestName) characters cannot be told "
                        + "from others; shorten it, or allow no others")
            }
            let rest = rule { _ in .repeated(JSONStringPatterns.plainCharacter, from: 0, upTo: nil) }
            let name = rule { _ in JSONStringPatterns.names(except: Array(properties.keys), rest: rest) }
            let pair = Pattern.sequence([name, Self.colon, others])
            first = Self.list(of: pair, from: 0, upTo: nil)
            behind = .repeated(.sequence([Self.comma, pair]), from: 0, upTo: nil)
        }
        for pair in pairs.reversed() {
            let rest = rule { _ in behind }
            let asFirst = Pattern.sequence([pair.pattern, rest])
            let asNext = Pattern.sequence([Self.comma, pair.pattern, rest])
            let firstOfRest = first
            first = pair.isRequired ? asFirst : .choice([asFirst, rule { _ in firstOfRest }])
            behind = pair.isRequired ? asNext : .choice([asNext, rest])
        }
        return .sequence([.text("{"), first, .text("}")])
    }
}

extension ByteGrammar {
    /// Texts of the JSON values that a schema allows.
    ///
    /// - Throws: `GrammarError` with the path of what cannot be followed.
    package init(jsonSchema: JSONValue) throws {
        try self.init(JSONSchemaReader.rules(jsonSchema))
    }
}
