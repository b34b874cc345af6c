/// What a `@Child` property can hold: a module, a module that may be absent, or a list of modules.
public protocol ChildValue {
    /// The modules with the ends of their names.
    var childModules: [(name: String, module: Module)] { get }
}

extension Module: ChildValue {
    public var childModules: [(name: String, module: Module)] { [("", self)] }
}

extension Optional: ChildValue where Wrapped: Module {
    public var childModules: [(name: String, module: Module)] { map { [("", $0)] } ?? [] }
}

extension Array: ChildValue where Element: Module {
    public var childModules: [(name: String, module: Module)] {
        enumerated().map { (String($0.offset), $0.element) }
    }
}

protocol ChildWrapper {
    var modules: [(name: String, module: Module)] { get }
}

/// A part of a module, with its name on disk: `@Child("self_attn") var attention: Qwen2Attention`.
@propertyWrapper
public struct Child<Value: ChildValue>: ChildWrapper {
    /// What a copy of the wrapper shares, so that reflection needs to find it once.
    private final class Storage {
        var value: Value?

        init(_ value: Value?) { self.value = value }
    }

    private let name: String
    private let storage: Storage

    public init(_ name: String) {
        self.name = name
        storage = Storage(nil)
    }

    public init(wrappedValue: Value, _ name: String) {
        self.name = name
        storage = Storage(wrappedValue)
    }

    public var wrappedValue: Value {
        get {
            guard let value = storage.value else {
                preconditionFailure("the child \(name) is read before it is assigned")
            }
            return value
        }
        set { storage.value = newValue }
    }

    var modules: [(name: String, module: Module)] {
        guard let value = storage.value else { preconditionFailure("the child \(name) was never assigned") }
        return value.childModules.map { (Module.joined(name, $0.name), $0.module) }
    }
}
