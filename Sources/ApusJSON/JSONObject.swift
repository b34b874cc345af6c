/// A JSON object: keys in the order of their first appearance, lookup by hash.
package struct JSONObject: Sendable, Sequence, ExpressibleByDictionaryLiteral {
    package private(set) var keys: [String] = []
    private var values: [JSONValue] = []
    // Most objects in chat data have a handful of keys; a dictionary only pays beyond that.
    private var positions: [String: Int] = [:]
    private static let hashThreshold = 8

    package init() {}

    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (key, value) in elements { self[key] = value }
    }

    package var count: Int { keys.count }
    package var isEmpty: Bool { keys.isEmpty }

    private func position(of key: String) -> Int? {
        keys.count <= Self.hashThreshold ? keys.firstIndex(of: key) : positions[key]
    }

    package subscript(key: String) -> JSONValue? {
        get { position(of: key).map { values[$0] } }
        set {
            switch (position(of: key), newValue) {
            case (let index?, let value?):
                values[index] = value
            case (let index?, nil):
                keys.remove(at: index)
                values.remove(at: index)
                positions = [:]
                indexKeys()
            case (nil, let value?):
                keys.append(key)
                values.append(value)
                if keys.count == Self.hashThreshold + 1 { indexKeys() }
                if keys.count > Self.hashThreshold + 1 { positions[key] = keys.count - 1 }
            case (nil, nil):
                break
            }
        }
    }

    private mutating func indexKeys() {
        guard keys.count > Self.hashThreshold else { return }
        for (index, key) in keys.enumerated() { positions[key] = index }
    }

    package func makeIterator() -> AnyIterator<(key: String, value: JSONValue)> {
        var index = 0
        let (keys, values) = (keys, values)
        return AnyIterator {
            guard index < keys.count else { return nil }
            defer { index += 1 }
            return (keys[index], values[index])
        }
    }
}

extension JSONObject: Equatable {
    /// Objects are equal when they hold the same keys with the same values, in any order.
    package static func == (lhs: JSONObject, rhs: JSONObject) -> Bool {
        lhs.count == rhs.count && lhs.allSatisfy { rhs[$0.key] == $0.value }
    }
}
