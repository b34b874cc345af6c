import ApusAdapters
import ApusNN

/// A model as a tree of its parts: names, kinds, shapes of parameters, ranks of adapters.
enum ModelTree {
    /// One line for each part; runs of layers that look alike are one line, `(0-23): 24 × DecoderLayer`.
    static func text(_ model: Module) -> String {
        "\(type(of: model))\n" + lines(model, indent: 1).joined(separator: "\n")
    }

    private static func lines(_ module: Module, indent: Int) -> [String] {
        let space = String(repeating: "  ", count: indent)
        var lines = module.slots().parameters.compactMap { slot in
            slot.shape.map { "\(space)\(slot.name): \($0)" }
        }
        var run: (first: String, last: String, count: Int, head: String, body: [String])?
        func flush() {
            guard let ended = run else { return }
            let name = ended.count == 1 ? ended.first : "\(ended.first) … \(ended.last): \(ended.count) ×"
            lines += ["\(space)(\(name)) \(ended.head)"] + ended.body
            run = nil
        }
        for (name, child) in module.slots().children {
            let head = title(child)
            let body = child is Linear || child is Adapter ? [] : self.lines(child, indent: indent + 1)
            if let current = run, current.head == head, current.body == body {
                run = (current.first, name, current.count + 1, head, body)
            } else {
                flush()
                run = (name, name, 1, head, body)
            }
        }
        flush()
        return lines
    }

    private static func title(_ module: Module) -> String {
        func adapters(_ list: [Adapter]) -> String { list.map { " + \($0.summary)" }.joined() }
        switch module {
        case let linear as Linear:
            let bits = (linear.storage as? any QuantizedStorage).map { ", \($0.summary)" } ?? ""
            let bias = (linear.$bias.isDeclared ? ", bias" : "") + bits
            return "Linear(\(linear.inputs) → \(linear.outputs)\(bias))\(adapters(linear.adapters))"
        case let table as ApusNN.Embedding: return "Embedding\(adapters(table.adapters))"
        default: return "\(type(of: module))"
        }
    }
}
