import ApusTorch
import Synchronization

/// A part of a model: parameters and children, each in a slot that carries its name on disk.
///
/// `init` describes shapes only; weights arrive later from a file or an initialiser, so that a model can be counted,
/// printed or adapted from its configuration alone.
open class Module {
    private let lock = Mutex(())
    /// What reflection found: it is slow, and a module keeps its slots, whatever they hold.
    private var found: (parameters: [ParameterSlot], children: [any ChildWrapper])?

    public init() {}

    /// Visits this module and everything below it with its own parameters, depth first in order of declaration.
    ///
    /// A `Module` or `Tensor` stored outside a slot is a programming error and traps, naming the property.
    private func visit(
        _ prefix: String = "", _ body: (_ path: String, _ module: Module, _ parameters: [ParameterSlot]) -> Void
    ) {
        let (parameters, children) = slots()
        body(prefix, self, parameters)
        for child in children { child.module.visit(Self.joined(prefix, child.name), body) }
    }

    /// The modules of this tree with their paths; the root's path is empty.
    package func modules() -> [(path: String, module: Module)] {
        var found: [(String, Module)] = []
        visit { path, module, _ in found.append((path, module)) }
        return found
    }

    /// The declared parameters of this tree with their names on disk.
    ///
    /// Adapters that hang on a layer are not part of the model's file and are left out; asked themselves, they answer.
    package func parameters() -> [(name: String, slot: ParameterSlot)] {
        var adapters: [String] = []
        var found: [(String, ParameterSlot)] = []
        visit { path, module, slots in
            if module is Adapter && module !== self { adapters.append(path) }
            if let last = adapters.last, path == last || path.hasPrefix(last + ".") { return }
            for slot in slots where slot.isDeclared {
                found.append((Self.joined(path, slot.name), slot))
            }
        }
        return found
    }

    /// This module's own slots.
    package func slots() -> (parameters: [ParameterSlot], children: [(name: String, module: Module)]) {
        var slots: (parameters: [ParameterSlot], children: [any ChildWrapper]) = ([], [])
        lock.withLock { _ in
            slots = found ?? reflected()
            found = slots
        }
        return (slots.parameters, slots.children.flatMap(\.modules))
    }

    private func reflected() -> (parameters: [ParameterSlot], children: [any ChildWrapper]) {
        var parameters: [ParameterSlot] = []
        var children: [any ChildWrapper] = []
        let mirrors = mirrors()
        for (mirror, places) in zip(mirrors, SlotPlaces.of(self, seenIn: mirrors)) {
            let properties = mirror.children
            var index = properties.startIndex
            var passed = 0
            for place in places {
                index = properties.index(index, offsetBy: place - passed)
                passed = place
                switch properties[index].value {
                case let wrapper as any ParameterWrapper: parameters.append(wrapper.slot)
                case let wrapper as any ChildWrapper: children.append(wrapper)
                default: break
                }
            }
        }
        return (parameters, children)
    }

    /// What reflection sees of this module, from the root class down.
    private func mirrors() -> [Mirror] {
        var levels = [Mirror(reflecting: self)]
        while let above = levels[levels.count - 1].superclassMirror { levels.append(above) }
        return levels.reversed()
    }

    package static func joined(_ prefix: String, _ name: String) -> String {
        prefix.isEmpty ? name : name.isEmpty ? prefix : "\(prefix).\(name)"
    }
}

/// Where the slots of a class lie among its properties, for each class from the root down.
///
/// Models have many modules of few classes, and to ask each property what it is takes most of a walk's time.
private enum SlotPlaces {
    private static let known = Mutex<[ObjectIdentifier: [[Int]]]>([:])

    static func of(_ module: Module, seenIn mirrors: [Mirror]) -> [[Int]] {
        let key = ObjectIdentifier(type(of: module))
        if let places = known.withLock({ $0[key] }) { return places }
        let places = mirrors.map { mirror in
            mirror.children.enumerated().filter { isSlot($0.element, of: module) }.map(\.offset)
        }
        known.withLock { $0[key] = places }
        return places
    }

    private static func isSlot(_ property: Mirror.Child, of module: Module) -> Bool {
        switch property.value {
        case is any ParameterWrapper, is any ChildWrapper: return true
        // An empty list of anything can be taken for a list of modules.
        case let list as [Any] where list.isEmpty: return false
        case is Module, is Tensor, is [Module], is [Tensor]:
            preconditionFailure(
                "\(type(of: module)).\(property.label ?? "?") must be declared with @Child or @Parameter")
        default: return false
        }
    }
}

extension Module {
    package var parameterCount: Int { parameters().reduce(0) { $0 + ($1.slot.isBuffer ? 0 : $1.slot.count) } }

    package var trainableParameters: [(name: String, slot: ParameterSlot)] {
        parameters().filter { $0.slot.isTrainable }
    }

    /// Marks every parameter of the tree as trainable or frozen.
    package func setTrainable(_ isTrainable: Bool) throws {
        for (_, slot) in parameters() { try slot.setTrainable(isTrainable) }
    }
}
