package import ApusJSON
package import ApusNN

/// A method of parameter-efficient training that a program brings along: what hangs on each chosen linear layer.
///
/// Its files are PEFT's two, with the name in capitals as `peft_type`; only a program that has the method reads them.
package struct OwnMethod: Sendable {
    /// What it is called, such as `gate`.
    package let name: String
    /// Ends of the names of the layers it hangs on, such as `q_proj`; nil takes every linear layer but the head.
    package let layers: [String]?
    let part: @Sendable (Linear) throws -> LinearAdapter

    /// - Parameter part: Makes what hangs on a layer; it declares its parameters and says what it computes.
    package init(_ name: String, on layers: [String]? = nil, part: @escaping @Sendable (Linear) throws -> LinearAdapter)
    {
        self.name = name
        self.layers = layers
        self.part = part
    }
}

/// A program's own method among the others.
package struct OwnConfiguration: AdapterMethod {
    package static let peftType = "OWN"
    package static let tunerType = "own"
    package static let options: [AdapterOption] = []

    private let own: OwnMethod
    private let selection: LayerSelection
    package var base = AdapterBase()

    package init(_ own: OwnMethod) {
        self.own = own
        selection = LayerSelection(own.layers.map(TargetModules.names) ?? .allLinear)
    }

    /// - Throws: `AdapterError` for the files of another method.
    package init(_ own: OwnMethod, in folder: String) throws {
        let path = AdapterFiles.located(AdapterFiles.configurationName, in: folder)
        let json = try AdapterFiles.configuration(at: path, of: folder)
        let reader = ConfigurationReader(json: json, file: path)
        guard json["peft_type"]?.stringValue == own.name.uppercased() else {
            throw reader.refusal(
                "\"peft_type\" is \(json["peft_type"]?.serialized() ?? "missing"), and the method is "
                    + own.name.uppercased())
        }
        self.own = own
        selection = try LayerSelection(reader)
        base = try reader.base()
    }

    package init(_ settings: AdapterSettings) throws { throw AdapterError("a program brings this method along") }
    package init(json: JSONValue, file: String) throws {
        throw AdapterError("\(file): a program brings this method along")
    }

    package var summary: String { own.name }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        try selection.hosts(on: model, leaving: base.storedModules, heads: heads).map { path, module in
            guard let linear = module as? Linear else {
                throw AdapterError("\(own.name) hangs on linear layers, and \(path) is a table of words; leave it out")
            }
            let adapter = try own.part(linear)
            adapter.name = name
            linear.adapters.append(adapter)
            return AdapterPart(path: path, host: linear, adapter: adapter)
        }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        base.json(own.name.uppercased(), ["target_modules": selection.json(parts.map(\.path))])
    }
}
