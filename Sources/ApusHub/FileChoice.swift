/// Which files of a repository are wanted.
package struct FileChoice: Sendable, Equatable {
    /// What is left out even if it was asked for by nothing in particular.
    package enum Scope: Sendable, Equatable {
        /// Every file.
        case all
        /// What Apus reads of a model or an adapter: configurations, tokenizer, and one form of the weights.
        case model
        /// As `model`, without weights.
        case texts
        /// `README.md` and nothing else.
        case card
        /// Files of these paths.
        case paths(Set<String>)
    }

    package var scope: Scope
    /// Patterns of which one has to fit, when there are any.
    package var include: [String] = []
    /// Patterns of which none may fit.
    package var exclude: [String] = []

    package init(_ scope: Scope, include: [String] = [], exclude: [String] = []) {
        self.scope = scope
        self.include = include
        self.exclude = exclude
    }

    /// The files of `files` that are wanted.
    package func chosen(of files: [RemoteFile]) -> [RemoteFile] {
        var chosen = files
        switch scope {
        case .all: break
        case .card: chosen = files.filter { $0.path == "README.md" }
        case .paths(let paths): chosen = files.filter { paths.contains($0.path) }
        case .model: chosen = ModelFiles(files).needed
        case .texts: chosen = ModelFiles(files).texts
        }
        if !include.isEmpty { chosen = chosen.filter { file in include.contains { Glob.fits($0, file.path) } } }
        return chosen.filter { file in !exclude.contains { Glob.fits($0, file.path) } }
            .sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }
}

/// The files of a model, by what they are for.
struct ModelFiles {
    private let files: [RemoteFile]

    init(_ files: [RemoteFile]) {
        self.files = files
    }

    /// Other programs' forms of weights, and pictures, recordings and code, which are not read.
    private static let foreign: Set<String> = [
        "onnx", "onnx_data", "h5", "msgpack", "tflite", "mlmodel", "mlpackage", "ot", "ckpt", "pdparams", "engine",
        "nemo",
        "mar", "pb", "caffemodel", "xml", "png", "jpg", "jpeg", "gif", "webp", "svg", "mp4", "mp3", "wav", "webm",
        "pdf", "py",
        "ipynb", "zip", "tar", "gz", "tgz", "7z", "rar", "so", "dll", "exe", "sh", "npz", "tfevents", "parquet",
        "arrow",
    ]
    private static let foreignFolders: Set<String> = [
        "onnx", "openvino", "coreml", "tensorflow", "tf", "flax", "original", "metal", "figures", "assets", "images",
        "runs",
        "examples",
    ]
    private static let weights: Set<String> = ["safetensors", "bin", "pt", "pth", "gguf"]
    /// State of a training run, which starts no other.
    private static let ofTraining: Set<String> = [
        "optimizer.pt", "optimizer.bin", "scheduler.pt", "training_args.bin", "rng_state.pth", "scaler.pt",
    ]

    private func ending(_ file: RemoteFile) -> String {
        let name = file.path.split(separator: "/").last ?? ""
        guard let dot = name.lastIndex(of: ".") else { return "" }
        return name[name.index(after: dot)...].lowercased()
    }

    private func isForeign(_ file: RemoteFile) -> Bool {
        let parts = file.path.split(separator: "/")
        return Self.foreign.contains(ending(file))
            || parts.dropLast().contains { Self.foreignFolders.contains($0.lowercased()) }
            || parts.contains { $0.hasPrefix(".") } || parts.dropLast().contains { $0.hasPrefix("checkpoint-") }
            || (parts.last.map { Self.ofTraining.contains(String($0)) || $0.hasPrefix("rng_state_") } ?? false)
    }

    /// Everything but weights.
    var texts: [RemoteFile] { files.filter { !isForeign($0) && !Self.weights.contains(ending($0)) } }

    /// The texts and, of the weights of each folder, one form: safetensors before `.bin`, and GGUF where nothing else
    /// is.
    var needed: [RemoteFile] {
        let weights = files.filter { !isForeign($0) && Self.weights.contains(ending($0)) }
        var chosen: [RemoteFile] = []
        for (_, here) in Dictionary(
            grouping: weights, by: { $0.path.split(separator: "/").dropLast().joined(separator: "/") })
        {
            func of(_ endings: String...) -> [RemoteFile] { here.filter { endings.contains(ending($0)) } }
            let safe = Self.withoutDoubles(of("safetensors"))
            let old = of("bin", "pt", "pth").filter { !$0.path.hasSuffix("consolidated.00.pth") }
            // `tokenizer.bin` and the like would be read as nothing; whole models are called otherwise.
            chosen += !safe.isEmpty ? safe : !old.isEmpty ? old : of("gguf")
        }
        return texts + chosen
    }

    /// Mistral's `consolidated.safetensors` holds what the shards beside it hold, and variants such as
    /// `model.fp16.safetensors` what the plain one holds.
    private static func withoutDoubles(_ files: [RemoteFile]) -> [RemoteFile] {
        func name(_ file: RemoteFile) -> Substring { file.path.split(separator: "/").last ?? "" }
        let plain = files.filter { !name($0).hasPrefix("consolidated") }
        let kept = plain.isEmpty ? files : plain
        let hasPlain = kept.contains { name($0) == "model.safetensors" }
        return hasPlain
            ? kept.filter { name($0).wholeMatch(of: /model\.(fp16|bf16|fp32|int8)\.safetensors/) == nil } : kept
    }
}

/// Patterns of paths as `--include` has them: `*` stands for anything, `/` too, `?` for one character, `[ab]` for a
/// set; one that ends in `/` for all below.
package enum Glob {
    package static func fits(_ pattern: String, _ path: String) -> Bool {
        let whole = pattern.hasSuffix("/") ? pattern + "*" : pattern
        return matches(Array(whole.unicodeScalars)[...], Array(path.unicodeScalars)[...])
    }

    /// Goes back to the last star alone, so that the time is at most the product of the lengths.
    private static func matches(
        _ pattern: ArraySlice<Unicode.Scalar>, _ text: ArraySlice<Unicode.Scalar>
    ) -> Bool {
        var (p, t) = (pattern.startIndex, text.startIndex)
        var back: (pattern: Int, text: Int)?
        while t < text.endIndex {
            if p < pattern.endIndex, pattern[p] == "*" {
                back = (p, t)
                p += 1
            } else if p < pattern.endIndex, let next = step(pattern, p, text[t]) {
                (p, t) = (next, t + 1)
            } else if let star = back {
                back = (star.pattern, star.text + 1)
                (p, t) = (star.pattern + 1, star.text + 1)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == "*" }
    }

    /// Where the pattern goes on behind one character that fits; nil where it does not fit.
    private static func step(_ pattern: ArraySlice<Unicode.Scalar>, _ at: Int, _ scalar: Unicode.Scalar) -> Int? {
        if pattern[at] == "?" { return at + 1 }
        guard pattern[at] == "[", let end = pattern[(at + 1)...].dropFirst().firstIndex(of: "]") else {
            return pattern[at] == scalar ? at + 1 : nil
        }
        var set = pattern[(at + 1)..<end]
        let isNegated = set.first == "!"
        if isNegated { set = set.dropFirst() }
        var holds = false
        var index = set.startIndex
        while index < set.endIndex {
            if index + 2 < set.endIndex, set[index + 1] == "-" {
                if set[index] <= scalar, scalar <= set[index + 2] { holds = true }
                index += 3
            } else {
                if set[index] == scalar { holds = true }
                index += 1
            }
        }
        return holds != isNegated ? end + 1 : nil
    }
}
