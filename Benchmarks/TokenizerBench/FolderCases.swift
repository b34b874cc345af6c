import ApusJSON
import ApusText
import Foundation

/// Small folders against what `AutoTokenizer` made of each, as `Scripts/parity/tokenizer_folders.py` writes them.
struct FolderCases {
    private let root: JSONValue

    init(_ url: URL) throws { root = try JSONValue(parsing: Data(contentsOf: url)) }

    /// Prints what differs.
    ///
    /// - Returns: How many folders differ or are refused.
    func check() throws -> Int {
        let cases = root["cases"]?.arrayValue ?? []
        var (different, refused) = (0, 0)
        for (number, content) in cases.enumerated() {
            let files = content["files"]?.objectValue ?? [:]
            do {
                let faults = try inFolder(files) { try check(content, try Tokenizer.load(folder: $0)) }
                guard !faults.isEmpty else { continue }
                different += 1
                let config = files["tokenizer_config.json"]?.stringValue ?? ""
                print("folder \(number), \(content["class"]?.stringValue ?? ""), \(config.prefix(400))")
                for fault in faults.prefix(3) { print("  \(fault)") }
            } catch let error as TokenizerError {
                refused += 1
                print("folder \(number), \(content["class"]?.stringValue ?? "") is refused: \(error.message)")
            }
        }
        print("\(cases.count) folders: \(different) differ, \(refused) are refused")
        return different + refused
    }

    private func inFolder<Result>(_ files: JSONObject, _ body: (URL) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-folder-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            let text = text.stringValue ?? ""
            let data = name.hasSuffix(".model") ? Data(base64Encoded: text) ?? Data() : Data(text.utf8)
            try data.write(to: folder.appending(path: name))
        }
        return try body(folder)
    }

    private func numbers(_ value: JSONValue?) -> [Int32] {
        (value?.arrayValue ?? []).map { Int32($0.intValue ?? -1) }
    }

    private func check(_ content: JSONValue, _ tokenizer: Tokenizer) throws -> [String] {
        var faults: [String] = []
        func compare<Value: Equatable>(_ what: String, _ ours: Value, _ theirs: Value) {
            if ours != theirs { faults.append("\(what): \(ours), not \(theirs)") }
        }
        for (index, text) in (root["texts"]?.arrayValue ?? []).compactMap(\.stringValue).enumerated() {
            let ids = numbers(content["ids"]?[index])
            compare(text.debugDescription, tokenizer.encode(text), ids)
            for (key, skips) in [("decoded", false), ("plain", true)] {
                let expected = content[key]?[index]?.stringValue ?? ""
                compare(
                    "\(key) \(ids)", Array(tokenizer.decode(ids, skipSpecialTokens: skips).utf8), Array(expected.utf8))
            }
        }
        for (index, pair) in (root["pairs"]?.arrayValue ?? []).enumerated() {
            let expected = content["pairs"]?[index]
            compare(
                "pair \(index)", tokenizer.encode(pair[0]?.stringValue ?? "", pair: pair[1]?.stringValue ?? ""),
                EncodedText(ids: numbers(expected?[0]), segments: numbers(expected?[1])))
        }
        let named = (content["named"]?.objectValue ?? [:]).map { ($0.0, $0.1.stringValue ?? "") }
        compare("named tokens", tokenizer.namedTokens, Dictionary(named) { $1 })
        compare("size", tokenizer.vocabularySize, content["size"]?.intValue ?? -1)
        return faults
    }
}
