package import ApusNN

extension LoRAConfiguration {
    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        try targets.validate()
        try excluded?.validate()
        let candidates = model.modules().filter { path, module in
            (module is Linear || module is Embedding) && !ModulePaths.lies(path, in: base.storedModules)
        }
        let chosen = candidates.filter { path, module in
            let isChosen =
                targets == .allLinear
                ? module is Linear && !ModulePaths.lies(path, in: heads) : targets.contains(path)
            return isChosen && excluded?.contains(path) != true && isInLayers(path)
        }
        try checkTargets(candidates.map(\.path), chosen: chosen.map(\.path))
        return chosen.compactMap { target in
            let adapter: Adapter
            switch target.module {
            case let table as Embedding:
                let lora = LoRAEmbedding(
                    name: name, for: table, rank: rank(of: target.path), scale: scale(of: target.path))
                table.adapters.append(lora)
                adapter = lora
            case let linear as Linear:
                let lora = LoRA(
                    name: name, for: linear, rank: rank(of: target.path), scale: scale(of: target.path),
                    dropout: dropout, initializer: initialization, stream: AdapterStream.key(name, target.path))
                linear.adapters.append(lora)
                adapter = lora
            default: return nil
            }
            return AdapterPart(path: target.path, host: target.module, adapter: adapter)
        }
    }

    private func isInLayers(_ path: String) -> Bool {
        guard let layers else { return true }
        let parts = path.split(separator: ".").map(String.init)
        for (index, part) in parts.enumerated().dropLast() {
            let names = layersPattern ?? ["layers", "h", "blocks", "block", "layer"]
            if names.contains(part), let number = Int(parts[index + 1]) { return layers.contains(number) }
        }
        return false
    }

    private func checkTargets(_ paths: [String], chosen: [String]) throws {
        let ends = Set(paths.map { String($0.split(separator: ".").last ?? "") }).sorted()
        func advice(_ name: String) -> String {
            let near = ends.min { editDistance($0, name) < editDistance($1, name) }
            let guess = near.flatMap { editDistance($0, name) <= 3 ? " (did you mean \"\($0)\"?)" : nil } ?? ""
            return guess + ". Layers that can be targets: \(ends.joined(separator: ", "))"
        }
        if case .names(let names) = targets, !allowsAbsentTargets {
            for name in names where !paths.contains(where: { $0 == name || $0.hasSuffix("." + name) }) {
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
