import ApusJSON
import ApusNN
import Foundation

/// Which layers of a model a method hangs on, by PEFT's keys.
package struct LayerSelection: Sendable, Equatable {
    package var targets = TargetModules.allLinear
    package var excluded: TargetModules?
    package var layers: [Int]?
    package var layersPattern: [String]?
    /// Whether names that match no layer are passed over, as PEFT passes over those of a file.
    var allowsAbsent = false

    package init(_ targets: TargetModules = .allLinear) { self.targets = targets }

    static let excludedOption = AdapterOption(
        "exclude_modules", .list, "Layers to leave out of --target_modules: ends of names.", decidesCount: true)
    static let layersOption = AdapterOption(
        "layers_to_transform", .list, "Numbers of the layers of the model to adapt, from 0.", decidesCount: true)
    static let patternOption = AdapterOption(
        "layers_pattern", .list, "What the list of layers is called, where its name is unusual.", decidesCount: true)
    /// For methods that take PEFT's keys for layers.
    static let options = [excludedOption, layersOption, patternOption]

    /// What a command line says.
    ///
    /// - Parameter defaults: PEFT's choice by architecture.
    init(_ settings: AdapterSettings, _ defaults: [String: [String]]) throws {
        targets = try settings.targets.resolved(defaults, settings.modelType)
        func words(_ option: AdapterOption) -> [String]? {
            let words = (settings[option].arrayValue ?? []).compactMap(\.stringValue)
            return words.isEmpty ? nil : words
        }
        excluded = words(Self.excludedOption).map(TargetModules.names)
        layersPattern = words(Self.patternOption)
        layers = try words(Self.layersOption)?.map { word in
            guard let number = Int(word), number >= 0 else {
                throw AdapterError(
                    "--layers_to_transform: \(word) is not the number of a layer; give whole numbers from 0")
            }
            return number
        }
        try checkNumbers(
            "--layers_to_transform", "--layers_pattern", ofText: "--target_regex", list: "--target_modules")
    }

    init(_ reader: ConfigurationReader) throws {
        targets = try reader.required("target_modules", "a string or a list of strings", TargetModules.init(json:))
        excluded = try reader.modules("exclude_modules")
        layers = try reader.list("layers_to_transform", "a number or a list of numbers", \.intValue)
        layersPattern = try reader.list("layers_pattern", "a string or a list of strings", \.stringValue)
        // Empty lists say nothing in PEFT.
        if layers?.isEmpty == true { layers = nil }
        if layersPattern?.allSatisfy(\.isEmpty) == true { layersPattern = nil }
        allowsAbsent = true
        try checkNumbers(
            "\(reader.file): \"layers_to_transform\"", "\"layers_pattern\"",
            ofText: "\"target_modules\" that is one text",
            list: "a list")
    }

    /// Refuses what PEFT refuses, or passes over: numbers of layers beside an expression, and a name of lists without numbers.
    private func checkNumbers(_ numbers: String, _ names: String, ofText text: String, list: String) throws {
        if case .pattern = targets, layers != nil || layersPattern != nil {
            throw AdapterError(
                "\(numbers) and \(names) do not go with \(text), in PEFT neither; write the numbers of the layers into the "
                    + "expression, or give \(list)")
        }
        guard let layersPattern, !layersPattern.isEmpty else { return }
        guard layers != nil else {
            throw AdapterError(
                "\(numbers) is missing beside \(names), which says where its numbers stand; give both, or none")
        }
        for pattern in layersPattern {
            do {
                _ = try NSRegularExpression(pattern: Self.numbering(pattern))
            } catch {
                throw AdapterError(
                    "\(names): \"\(pattern)\" is not a regular expression; give the name of the list of layers, such as "
                        + "layers")
            }
        }
    }

    /// Finds the number of a layer in a path, from its beginning: the first one after a part of any name, or of the name that an expression says.
    private static func numbering(_ pattern: String?) -> String { ".*?\\.\(pattern ?? "[^.]*")\\.(\\d+)\\." }

    /// The chosen linear layers, and tables where they are named, in the model's order.
    ///
    /// - Parameter isCandidate: Other modules that can be chosen in their place.
    /// - Throws: `AdapterError` when a target matches nothing, naming the nearest.
    func hosts(
        on model: Module, leaving stored: [String], heads: [String],
        amongst isCandidate: (Module) -> Bool = { $0 is Linear || $0 is Embedding }
    ) throws -> [(path: String, module: Module)] {
        try targets.validate()
        try excluded?.validate()
        let candidates = model.modules().filter { path, module in
            isCandidate(module) && !ModulePaths.lies(path, in: stored)
        }
        let numbering = try (layersPattern.map { $0.map(Optional.some) } ?? [nil]).map {
            try NSRegularExpression(pattern: Self.numbering($0))
        }
        let isTarget = targets.chooser()
        let chosen = try candidates.filter { path, module in
            let isChosen =
                targets == .allLinear
                ? module is Linear && !ModulePaths.lies(path, in: heads) : isTarget(path)
            return try isChosen && excluded?.contains(path) != true
                && (isInLayers(path, numbering) || targets.containsWhole(path))
        }
        try check(candidates.map(\.path), chosen: chosen.map(\.path))
        return chosen
    }

    /// `target_modules` of a file, by the names that layers have in transformers.
    ///
    /// A choice of whole models is written as the names it chose, as PEFT does. An expression that finds other modules than
    /// layers too, which PEFT takes for a fault, is written as the layers.
    func json(_ paths: [String]) -> JSONValue {
        switch targets {
        case .automatic: return nil
        case .allLinear where paths.isEmpty: return targets.json
        case .allLinear:
            return TargetModules.names(Set(paths.map { String($0.split(separator: ".").last ?? "") }).sorted()).json
        case .names(let names): return TargetModules.names(names.map(ModulePaths.inTransformers)).json
        case .pattern(let pattern):
            let parents = Set(paths.flatMap(ModulePaths.parents(of:)))
            // A module of any name beside a layer stands for those that only transformers has, such as activations.
            let others = parents.flatMap { [$0, $0 + ".x"] }
            return others.contains { TargetModules.fullMatch(pattern, $0) } ? Self.whole(paths) : targets.json
        }
    }

    /// Layers by their whole paths.
    static func whole(_ paths: [String]) -> JSONValue {
        TargetModules.names(paths.map(ModulePaths.inTransformers)).json
    }

    /// Whether a path is of one of the layers; the number is what the first group of an expression finds, as in PEFT.
    private func isInLayers(_ path: String, _ numbering: [NSRegularExpression]) throws -> Bool {
        guard let layers else { return true }
        // PEFT looks behind a first part, which models without a head do not have: there their list comes first.
        for text in [path, "." + path] {
            for expression in numbering {
                let whole = NSRange(text.startIndex..., in: text)
                guard let match = expression.firstMatch(in: text, options: .anchored, range: whole) else { continue }
                let found = Range(match.range(at: 1), in: text).map { String(text[$0]) } ?? ""
                guard let number = Int(found) else {
                    throw AdapterError(
                        "layers_pattern \((layersPattern ?? []).joined(separator: ", ")): its first group finds \"\(found)\" in "
                            + "\(path), which is no number; write groups as (?:…)")
                }
                return layers.contains(number)
            }
        }
        return false
    }

    private func check(_ paths: [String], chosen: [String]) throws {
        let ends = Set(paths.map { String($0.split(separator: ".").last ?? "") }).sorted()
        func advice(_ name: String) -> String {
            let near = ends.min { editDistance($0, name) < editDistance($1, name) }
            let guess = near.flatMap { editDistance($0, name) <= 3 ? " (did you mean \"\($0)\"?)" : nil } ?? ""
            return guess + ". Layers that can be targets: \(ends.joined(separator: ", "))"
        }
        if case .names(let names) = targets, !allowsAbsent {
            let known = Set(paths.flatMap(ModulePaths.ends))
            for name in names where !known.contains(name) {
                throw AdapterError("--target_modules: no layer matches \"\(name)\"\(advice(name))")
            }
        }
        if chosen.isEmpty {
            var what = "--target_modules: no layer matches the targets"
            if case .pattern(let pattern) = targets {
                what = "--target_regex: no layer's whole path matches \"\(pattern)\""
            }
            throw AdapterError("\(what)\(advice(""))")
        }
    }
}

/// The Levenshtein distance.
func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let above = row[j + 1]
            row[j + 1] = x == y ? diagonal : min(diagonal, above, row[j]) + 1
            diagonal = above
        }
    }
    return row[b.count]
}
