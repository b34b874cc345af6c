/// The ids that stand before and after every text that is encoded with special tokens.
struct PostProcessor: Sendable {
    private(set) var prefix: [Int32] = []
    private(set) var suffix: [Int32] = []

    /// Puts ids around what is there already.
    mutating func wrap(_ before: [Int32], _ after: [Int32]) {
        prefix = before + prefix
        suffix += after
    }
}
