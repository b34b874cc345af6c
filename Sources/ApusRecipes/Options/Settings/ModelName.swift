/// The short name of a model, from its path or hub id.
enum ModelName {
    /// `Qwen2.5-0.5B` of `Qwen/Qwen2.5-0.5B`, of `/models/Qwen2.5-0.5B/` and of the cache folder
    /// `…/models--Qwen--Qwen2.5-0.5B/snapshots/<commit>`.
    static func short(_ model: String) -> String {
        let parts = model.split(separator: "/").map(String.init)
        for (index, part) in parts.enumerated() where index + 1 < parts.count && parts[index + 1] == "snapshots" {
            if part.hasPrefix("models--") { return afterOwner(part.dropFirst("models--".count)) }
            if index > 0, parts[index - 1] == "models" { return afterOwner(part[...]) }
        }
        // ModelScope writes dots of a name as three underscores.
        return (parts.last ?? "model").replacing("___", with: ".")
    }

    private static func afterOwner(_ name: Substring) -> String {
        guard let separator = name.firstRange(of: "--"), separator.upperBound < name.endIndex else {
            return String(name)
        }
        return String(name[separator.upperBound...])
    }
}
