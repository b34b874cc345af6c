import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

/// The root of the package.
let packageRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// What Scripts/fixtures/make_datasets.py wrote.
func expectedOrders() throws -> JSONValue {
    try JSONValue(parsing: Data(contentsOf: packageRoot.appending(path: "Tests/Fixtures/datasets/orders.json")))
}

/// The digest of make_datasets.py: a number that depends on every value and its place.
func digest(_ values: some Sequence<Int>) -> Int {
    let modulus: UInt64 = 1 << 61
    return Int(
        values.reduce(UInt64(0)) { total, value in
            let product = total.multipliedFullWidth(by: 1_000_003)
            return modulus.dividingFullWidth(product).remainder &+ UInt64(bitPattern: Int64(value)) &+ 1 & (modulus - 1)
        })
}

/// A folder that is removed with the value.
final class TemporaryFolder {
    let url = FileManager.default.temporaryDirectory.appending(path: "apus-datasets-\(UUID().uuidString)")

    init() throws {
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: url)
    }

    /// Writes a file and returns its path.
    func write(_ text: String, to name: String) throws -> String {
        try write(Data(text.utf8), to: name)
    }

    func write(_ data: Data, to name: String) throws -> String {
        let file = url.appending(path: name)
        try data.write(to: file)
        return file.path
    }
}

/// Bytes as tokens: every message is its role, its text and a 0; an assistant's text and 0 are trained.
let byteEncoding: ConversationEncoding = { conversation in
    var ids: [Int32] = []
    var isTrained: [Bool] = []
    for message in conversation.messages {
        let role = Array(message.role.utf8)
        let text = Array(message.textOrEmpty.utf8) + [0]
        ids += (role + text).map { Int32($0) }
        let trains = message.role == "assistant" && message.isTrained != false
        isTrained += Array(repeating: false, count: role.count) + Array(repeating: trains, count: text.count)
    }
    return EncodedConversation(ids: ids, isTrained: isTrained)
}

/// The text of byte tokens.
let byteDecoding: @Sendable ([Int32]) -> String = { ids in
    String(decoding: ids.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
}

/// A conversation as "role: text" lines.
func transcript(_ conversation: Conversation) -> [String] {
    conversation.messages.map { "\($0.role): \($0.textOrEmpty)" }
}

/// Recognises one row written as JSON.
func recognize(
    _ json: String, _ options: ConversationRecognizer.Options = .init()
) throws -> ConversationRecognizer.Result {
    try ConversationRecognizer(options).recognize(JSONValue(parsing: json))
}

/// The reason for which a row is refused.
func rejection(_ json: String, _ options: ConversationRecognizer.Options = .init()) throws -> RowRejection? {
    do {
        _ = try recognize(json, options)
        return nil
    } catch let rejection as RowRejection {
        return rejection
    }
}
