import ApusJSON
package import ApusNN
import Foundation

/// Which modules an adapter hangs on, by PEFT's rules.
package enum TargetModules: Sendable, Equatable {
    /// Every linear layer but the output head.
    case allLinear
    /// What PEFT chooses for the architecture; a method replaces it by names before it looks at a model.
    case automatic
    /// Paths, or ends of paths after a dot.
    case names([String])
    /// A regular expression on the whole path.
    case pattern(String)

    /// Names with ms-swift's words for kinds of layers, `all-linear` and `all-embedding`, spelled out as the ends of theirs.
    ///
    /// `all-linear` by itself stays what it is.
    package static func spelledOut(_ names: [String], on model: Module, heads: [String]) -> [String] {
        let (linear, tables) = ("all-linear", "all-embedding")
        guard names.contains(tables) || names.contains(linear) && names.contains(where: { $0 != linear }) else {
            return names
        }
        func end(_ path: String) -> String { String(path.split(separator: ".").last ?? "") }
        let modules = model.modules()
        var spelled = names.filter { $0 != linear && $0 != tables }
        if names.contains(linear) {
            let paths = modules.filter { $0.module is Linear }.map(\.path)
            let others = paths.filter { !ModulePaths.lies($0, in: heads) }
            // A name that a head has too is none for what lies below it.
            let taken = Set(paths.filter { ModulePaths.lies($0, in: heads) }.map(end))
            spelled += others.map { taken.contains(end($0)) ? $0 : end($0) }
        }
        if names.contains(tables) { spelled += modules.filter { $0.module is Embedding }.map { end($0.path) } }
        var seen: Set<String> = []
        return spelled.filter { seen.insert($0).inserted }
    }

    /// PEFT's spelling in `adapter_config.json`.
    init?(json: JSONValue) {
        switch json {
        case .string("all-linear"): self = .allLinear
        case .string(let pattern): self = .pattern(pattern)
        case .array(let values) where values.allSatisfy({ $0.stringValue != nil }):
            self = .names(values.compactMap(\.stringValue))
        default: return nil
        }
    }

    var json: JSONValue {
        switch self {
        case .allLinear: "all-linear"
        case .automatic: nil
        case .names(let names): .array(names.map(JSONValue.string))
        case .pattern(let pattern): .string(pattern)
        }
    }

    /// All that any of several chooses.
    ///
    /// - Throws: `AdapterError` for lists beside expressions, which PEFT cannot put into one either.
    static func union(_ all: [TargetModules]) throws -> TargetModules {
        let names = all.compactMap { if case .names(let names) = $0 { names } else { nil as [String]? } }
        if names.count == all.count { return .names(Set(names.joined()).sorted()) }
        let patterns = all.compactMap { if case .pattern(let pattern) = $0 { pattern } else { nil as String? } }
        if patterns.count == all.count { return .pattern(patterns.map { "(\($0))" }.joined(separator: "|")) }
        guard all.allSatisfy({ $0 == .allLinear }) else {
            throw AdapterError(
                "\"target_modules\" of these adapters are lists and expressions, which cannot be put into one; write them "
                    + "all as lists")
        }
        return .allLinear
    }

    /// `contains` for many paths: a list may name each layer of thousands of experts.
    func chooser() -> (_ path: String) -> Bool {
        guard case .names(let names) = self else { return contains }
        let wanted = Set(names)
        return { ModulePaths.ends(of: $0).contains(where: wanted.contains) }
    }

    func contains(_ path: String) -> Bool {
        switch self {
        case .allLinear: true
        case .automatic: false
        case .names(let names):
            ModulePaths.names(path).contains { path in
                names.contains { path == $0 || path.hasSuffix("." + $0) }
            }
        case .pattern(let pattern): ModulePaths.names(path).contains { Self.fullMatch(pattern, $0) }
        }
    }

    /// Whether one of the names is the whole path, which PEFT does not look for the number of a layer in.
    func containsWhole(_ path: String) -> Bool {
        guard case .names(let names) = self else { return false }
        return ModulePaths.names(path).contains(where: names.contains)
    }

    /// Python's `re.fullmatch`.
    ///
    /// An expression that cannot be read matches nothing; `validate` reports it.
    package static func fullMatch(_ pattern: String, _ text: String) -> Bool {
        guard let expression = try? NSRegularExpression(pattern: "^(?:\(pattern))$") else { return false }
        let whole = NSRange(text.startIndex..., in: text)
        return expression.firstMatch(in: text, options: [.anchored], range: whole)?.range == whole
    }

    func validate() throws {
        guard case .pattern(let pattern) = self else { return }
        do {
            _ = try NSRegularExpression(pattern: pattern)
        } catch {
            throw AdapterError(
                "--target_regex: \"\(pattern)\" is not a regular expression; correct it, or name layers with --target_modules"
            )
        }
    }
}
