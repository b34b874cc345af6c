package import ApusTorch

/// Something that a run changes as it goes on and that a resumed run must have as it was.
package protocol ResumableState: AnyObject {
    /// Everything, by names of its own; loading copies into these tensors.
    ///
    /// - Throws: Where it is made when it is asked for, and cannot be.
    var state: [(name: String, tensor: Tensor)] { get throws }
}

/// A state whose tensors are not always of one shape, so that it takes up by itself what a checkpoint has.
package protocol GrowingState: ResumableState {
    /// - Parameter stored: By the names of `state`.
    func restore(_ stored: [String: Tensor]) throws
}

/// What takes part in the steps of a run beside the loss and the optimizer: methods with a schedule of their own.
package protocol StepParticipant: ResumableState {
    /// A scalar that is added to the loss of each step, once a step; nil adds nothing.
    func penalty() throws -> Tensor?

    /// Before the first step of a run, also of one that goes on.
    ///
    /// - Parameter step: Steps that are done.
    func starting(at step: Int) throws

    /// After the optimizer has moved the parameters and before their gradients, clipped, are forgotten.
    ///
    /// - Parameter step: Steps that are done, this one included.
    func stepped(to step: Int) throws

    /// After a step, also one that moved nothing.
    ///
    /// - Parameter step: Steps that are done, this one included.
    func passed(_ step: Int) throws
}

extension StepParticipant {
    package func penalty() throws -> Tensor? { nil }
    package func starting(at step: Int) throws {}
    package func stepped(to step: Int) throws {}
    package func passed(_ step: Int) throws {}
}
