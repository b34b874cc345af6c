/// Why answers cannot be rewarded.
package struct RewardError: Error, CustomStringConvertible, Equatable, Sendable {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
