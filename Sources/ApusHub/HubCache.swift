import Foundation

/// Models that Hugging Face's and ModelScope's own programs have left on this machine.
package struct HubCache: Sendable {
    private let huggingFace: String
    private let modelScope: String

    /// - Parameter environment: `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME` and `MODELSCOPE_CACHE` move the folders.
    package init(environment: [String: String], home: String = NSHomeDirectory()) {
        let caches = environment["XDG_CACHE_HOME"] ?? "\(home)/.cache"
        huggingFace = environment["HF_HUB_CACHE"] ?? "\(environment["HF_HOME"] ?? "\(caches)/huggingface")/hub"
        modelScope = environment["MODELSCOPE_CACHE"] ?? "\(caches)/modelscope/hub"
    }

    /// The folder of `organisation/name` in a cache, or nil.
    package func folder(of id: String) -> String? {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else { return nil }
        return huggingFaceSnapshot(parts[0], parts[1]) ?? modelScopeFolder(parts[0], parts[1])
    }

    /// The folders that were looked into, for messages.
    package var searched: [String] { [huggingFace, modelScope] }

    /// `models--<org>--<name>/snapshots/<commit>`, the commit being the one `refs/main` names.
    private func huggingFaceSnapshot(_ organisation: String, _ name: String) -> String? {
        Self.snapshot(in: "\(huggingFace)/models--\(organisation)--\(name)")
    }

    /// The snapshot in a folder of the cache such as `models--Qwen--Qwen2.5-0.5B`, or nil for any other folder.
    package static func snapshot(in folder: String) -> String? {
        let snapshots = "\(folder)/snapshots"
        guard let present = try? FileManager.default.contentsOfDirectory(atPath: snapshots) else { return nil }
        let main = (try? String(contentsOfFile: "\(folder)/refs/main", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let commit = main.flatMap { present.contains($0) ? $0 : nil } ?? present.sorted().last
        return commit.map { "\(snapshots)/\($0)" }
    }

    private func modelScopeFolder(_ organisation: String, _ name: String) -> String? {
        let escaped = name.replacingOccurrences(of: ".", with: "___")
        return ["\(modelScope)/models/\(organisation)/\(escaped)", "\(modelScope)/\(organisation)/\(escaped)"]
            .first { FileManager.default.fileExists(atPath: "\($0)/config.json") }
    }
}
