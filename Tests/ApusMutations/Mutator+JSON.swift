import ApusJSON

/// Damage that leaves the text JSON, so that what reads the values is reached.
extension Mutator {
    private static let values: [JSONValue] = [
        .null, true, false, 0, 1, -1, 2, 3, 7, 63, 65, 255, 65_536, 1_000_000, .int(1 << 31), .int(1 << 32),
        .int(1 << 40),
        .int(.max), .int(.min), 0.5, -0.0, 1e-9, 1e300, .double(.nan), .double(.infinity), "", " ", "a", "[UNK]", "▁",
        "##",
        "\u{0}", "e\u{301}", "🙂", "(a+)+$", "(?<=a)b|[", "\\p{L}+", "../../x", "None", "1", "[1, 2]", "{\"a\": 1}", [],
        [:],
        [[]], [1, 2, 3], ["a", "b"], ["a": [:]], ["type": "x"], ["Regex": "(a|aa)+$"], ["String": ""], [["a", 1]],
    ]

    /// The JSON texts of the lines or of the whole, one value of which is another than before.
    mutating func mutatedJSON(_ original: [UInt8]) -> [UInt8]? {
        guard var value = try? JSONValue(parsing: original) else {
            let lines = original.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            guard lines.count > 1 else { return nil }
            let place = number(below: lines.count)
            guard let line = mutatedJSON(Array(lines[place])) else { return nil }
            var result = lines.map { Array($0) }
            result[place] = line
            return Array(result.joined(separator: [UInt8(ascii: "\n")]))
        }
        for _ in 0...number(below: 3) { change(&value, depth: 0) }
        return Array(value.serialized().utf8)
    }

    private mutating func change(_ value: inout JSONValue, depth: Int) {
        switch value {
        case .object(var object) where !object.isEmpty && (depth == 0 || number(below: 6) != 0):
            let key = choice(object.keys)
            switch number(below: 12) {
            case 0: object[key] = nil
            case 1: object[key] = choice(Self.values)
            case 2: object[choice(object.keys)] = object[key]
            case 3: object[choice(["a", "type", "", key + "s", key.uppercased()])] = object[key]
            default:
                guard var inner = object[key] else { return }
                change(&inner, depth: depth + 1)
                object[key] = inner
            }
            value = .object(object)
        case .array(var array) where !array.isEmpty && (depth == 0 || number(below: 6) != 0):
            let place = number(below: array.count)
            switch number(below: 8) {
            case 0: array.remove(at: place)
            case 1: array.insert(choice(Self.values), at: place)
            case 2: array.append(array[place])
            case 3: array.swapAt(place, number(below: array.count))
            default: change(&array[place], depth: depth + 1)
            }
            value = .array(array)
        case .string(let text) where number(below: 2) == 0:
            let other = mutated(Array(text.utf8), head: text.utf8.count, others: [Array("{{ x }}".utf8)], isText: true)
            value = .string(String(decoding: other, as: UTF8.self))
        case .int(let number) where self.number(below: 2) == 0:
            value = .int(choice([number &+ 1, number &- 1, number &* 2, 0 &- number, number / 2, number &* 1000]))
        default: value = choice(Self.values)
        }
    }

    /// A safetensors file with a changed header of the right length.
    mutating func mutatedHeader(_ original: [UInt8], length: Int) -> [UInt8]? {
        guard original.count >= length, let header = mutatedJSON(Array(original[8..<length])) else { return nil }
        let count = UInt64(header.count)
        return (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } + header + original[length...]
    }
}
