/// Stops recursion before the stack ends, whatever the size of a frame in this build.
struct StackGuard {
    private let base: UInt
    private let limit: Int

    init(limit: Int) {
        base = Self.currentAddress()
        self.limit = limit
    }

    @inline(never)
    private static func currentAddress() -> UInt {
        var marker: UInt8 = 0
        return withUnsafeMutablePointer(to: &marker) { UInt(bitPattern: $0) }
    }

    /// - Throws: `JinjaError` of kind `.limit` when the stack has grown by more than the limit since `init`.
    func check() throws {
        let current = Self.currentAddress()
        let used = current > base ? current - base : base - current
        if used > UInt(limit) { throw JinjaError.limit("nested too deeply (more than \(limit) bytes of stack)") }
    }
}
