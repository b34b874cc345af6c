package import ApusTorch

/// Where an optimizer keeps what it remembers of large parameters.
package enum StateMemory {
    case plain
    /// In a mapped file: the paged optimizers of Dettmers et al. 2023, <https://arxiv.org/abs/2305.14314>.
    case paged(PagedMemory)

    /// As in bitsandbytes, less is not worth a page.
    private static let leastCount = 100_000

    func zeros(_ shape: [Int], dtype: DType, device: Device) throws -> Tensor {
        guard case .paged(let memory) = self, device == .cpu, shape.reduce(1, *) >= Self.leastCount else {
            return try Tensor.zeros(shape, dtype: dtype, device: device)
        }
        return try memory.zeros(shape, dtype: dtype)
    }

    /// Says that tensors are not needed before the next step.
    func release(_ tensors: [Tensor]) {
        guard case .paged(let memory) = self else { return }
        for tensor in tensors { memory.release(tensor) }
    }

    var isPaged: Bool {
        if case .paged = self { return true }
        return false
    }
}
