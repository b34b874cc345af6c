/// A parsed Jinja template: immutable, and safe to render on several threads at once.
///
/// The language is that of jinja2's `ImmutableSandboxedEnvironment` with `trim_blocks`, `lstrip_blocks`, the
/// `loopcontrols` extension and what transformers adds to it. A template cannot reach files, the network, the
/// environment or other templates.
struct JinjaTemplate: Sendable {
    let body: [any JinjaStatement]
    let names: [String]
    /// Names that each scope declares, by scope number.
    let unsetNames: [[Int]]
    let limits: JinjaLimits

    /// - Throws: `JinjaError`.
    init(source: String, limits: JinjaLimits = JinjaLimits()) throws {
        var parser = try JinjaParser(source: source, limits: limits)
        body = try parser.parse()
        unsetNames = try JinjaAnalyzer.unsetNames(of: body, parser: parser)
        names = parser.names
        self.limits = limits
    }

    struct Rendering {
        let bytes: [UInt8]
        /// Byte ranges inside `generation` blocks; nil where they are not known.
        let generations: [Range<Int>]?
    }

    /// - Throws: `JinjaError`.
    func rendered(
        variables: (String) -> JinjaValue?, clock: TemplateClock = .system
    ) throws -> Rendering {
        let interpreter = JinjaInterpreter(template: self, variables: variables, clock: clock)
        let bytes = try interpreter.run()
        return Rendering(bytes: bytes, generations: interpreter.generations)
    }
}
