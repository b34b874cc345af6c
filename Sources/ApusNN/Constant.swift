protocol ConstantWrapper {
    var slot: ParameterSlot { get }
}

/// A tensor of an adapter that is not trained, with its name in files: `@Constant("vera_A") var a: Tensor`.
///
/// It follows from the configuration, or a file holds it.
@propertyWrapper
package struct Constant<Value: ParameterValue>: ConstantWrapper {
    let slot: ParameterSlot

    package init(_ name: String) { slot = ParameterSlot(name) }

    package var wrappedValue: Value { Value.value(in: slot) }

    package var projectedValue: ParameterSlot { slot }
}

/// What several parts of one adapter use together: it hangs on no layer by itself, and is trained and stored once.
open class SharedAdapter: Adapter {}

/// A reference to a part that another place owns, so that it is no child of whoever uses it.
package struct Shared<Part: Adapter> {
    package let part: Part

    package init(_ part: Part) { self.part = part }
}
