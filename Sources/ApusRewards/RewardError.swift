/// Why answers cannot be rewarded.
package struct RewardError: Error, CustomStringConvertible, Equatable, Sendable {
    package let description: String
    /// Whether it is the row's fault, so that other rows can be judged.
    package let isOfRow: Bool

    package init(_ description: String, isOfRow: Bool = false) {
        self.description = description
        self.isOfRow = isOfRow
    }
}
