package import ApusJSON
package import ApusNN

/// A method that hangs one part on each linear layer that is chosen.
package protocol MatrixMethod: AdapterMethod {
    /// What people call it.
    static var title: String { get }
    /// Whether PEFT has it for layers whose matrix lies as [in, out] (GPT-2's `Conv1D`), so that it can read the file.
    static var takesTransposed: Bool { get }
    var selection: LayerSelection { get }

    /// The part for a layer.
    ///
    /// - Throws: `AdapterError` where the layer's sizes do not go with the method's.
    func adapter(for linear: Linear, at path: String, named name: String) throws -> LinearAdapter

    /// The keys of PEFT's file that neither all methods have nor those that choose layers.
    func keys(_ parts: [AdapterPart]) -> JSONObject
}

extension MatrixMethod {
    package static var takesTransposed: Bool { false }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        try selection.linearHosts(
            of: Self.title, on: model, leaving: base.storedModules, heads: heads, allowsTransposed: Self.takesTransposed
        ).map { path, linear in
            let adapter = try adapter(for: linear, at: path, named: name)
            linear.adapters.append(adapter)
            return AdapterPart(path: path, host: linear, adapter: adapter)
        }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        base.json(Self.peftType, selection.keys(parts).merging(keys(parts)))
    }

    /// Says which layer it is that a method cannot take.
    func refusal(_ path: String, _ what: String) -> AdapterError {
        AdapterError("\(Self.title) on \(path): \(what)")
    }
}

extension LayerSelection {
    /// The keys of PEFT's file that choose layers.
    func keys(_ parts: [AdapterPart]) -> JSONObject {
        [
            "exclude_modules": excluded?.json ?? .null,
            "layers_pattern": layersPattern.map { .array($0.map(JSONValue.string)) } ?? .null,
            "layers_to_transform": layers.map { .array($0.map(JSONValue.int)) } ?? .null,
            "target_modules": json(parts.map(\.path)),
        ]
    }
}

extension JSONObject {
    /// These keys and others.
    func merging(_ other: JSONObject) -> JSONObject {
        var sum = self
        for (key, value) in other { sum[key] = value }
        return sum
    }
}
