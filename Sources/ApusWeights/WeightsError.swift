/// Why a weights file cannot be read or written: which file, which tensor, what is wrong, what to try.
public struct WeightsError: Error, CustomStringConvertible, Sendable, Equatable {
    /// The path as the caller gave it.
    public let file: String
    /// The tensor or metadata key at fault, where there is one.
    public let item: String?
    public let problem: String
    /// What the reader of the message can do about it.
    public let advice: String?

    package init(_ file: String, item: String? = nil, _ problem: String, advice: String? = nil) {
        self.file = file
        self.item = item.map(Self.printable)
        self.problem = problem
        self.advice = advice
    }

    public var description: String {
        let place = item.map { "\(file): \($0)" } ?? file
        return "\(place): \(problem)" + (advice.map { "; \($0)" } ?? "")
    }

    /// A name from a file, quoted, with control characters escaped and its length bounded: file contents must not be
    /// able to repaint the terminal.
    static func printable(_ name: String) -> String {
        let limit = 120
        var text = "\""
        for scalar in name.unicodeScalars.prefix(limit) {
            let isControl =
                scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
            text += isControl ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }
        return text + (name.unicodeScalars.count > limit ? "…\"" : "\"")
    }

    static let notSafetensors = "this is not a safetensors file, or it is damaged: download or save it again"
    static let downloadAgain = "the file is truncated or damaged: download or save it again"
}
