/// What a chat template may use before it is stopped.
///
/// Templates come with models and are not trusted: each limit ends the parsing or the rendering with a `JinjaError`
/// of kind `.limit`.
public struct JinjaLimits: Sendable, Equatable {
    /// Bytes of template source.
    ///
    /// The longest template of a known model has 17 KB.
    public var sourceBytes = 1 << 18
    /// Different names of variables in the source.
    public var names = 2048
    /// Nested constructs in the source, and nodes between the root of one expression and its deepest leaf.
    public var sourceDepth = 128
    /// Nodes evaluated, loop turns and comparisons in one rendering.
    public var steps = 3_000_000
    /// Bytes of strings and lists made or scanned in one rendering, thrown away ones included.
    public var workBytes = 256 << 20
    /// Bytes of rendered text.
    public var outputBytes = 32 << 20
    /// Containers inside containers.
    public var valueDepth = 128
    /// Macro calls inside macro calls.
    public var callDepth = 64
    /// Bytes of stack that parsing or rendering may use below its caller; fits into the 512 KB of a secondary thread.
    public var stackBytes = 288 << 10

    public init() {}
}
