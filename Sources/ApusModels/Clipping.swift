import ApusTorch

extension Tensor {
    /// Elements in [−c, c]; nil leaves them as they are.
    func clipped(to limit: Double?) throws -> Tensor {
        guard let limit else { return self }
        return try masked(by: isLess(than: -limit), with: -limit).clipped(above: limit)
    }

    /// Elements that are at most c.
    func clipped(above limit: Double) throws -> Tensor { try masked(by: (-self).isLess(than: -limit), with: limit) }
}
