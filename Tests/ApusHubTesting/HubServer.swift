import ApusFilesTesting
package import ApusJSON
package import Foundation

/// A hub on this machine, with what goes wrong on the way: Scripts/faults/hub_server.py, run by python3.
package final class HubServer {
    package struct Failure: Error {
        package let description: String
    }

    /// The folder of its repositories.
    package let root: String
    package let address: String
    /// Where large files come from.
    package let store: String
    private let folder: TemporaryFolder
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var unread = Data()

    /// - Parameter page: So many files are listed by one answer.
    package init(page: Int = 1000) throws {
        folder = try TemporaryFolder()
        root = folder("hub")
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Scripts/faults/hub_server.py").path
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", script, root, "--page", "\(page)"]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        var line: JSONValue = .null
        var rest = Data()
        // A method cannot be called before everything is set.
        while !rest.contains(10) {
            let part = output.fileHandleForReading.availableData
            guard !part.isEmpty else { throw Failure(description: "python3 \(script) does not start") }
            rest += part
        }
        line = try JSONValue(parsing: rest.prefix { $0 != 10 })
        address = line["hub"]?.stringValue ?? ""
        store = line["cdn"]?.stringValue ?? ""
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// A folder beside the repositories, for caches and the like.
    package func scratch(_ name: String) -> String { folder(name) }

    /// Writes a file of a repository, such as `models/owner/name/config.json`.
    package func write(_ data: Data, to path: String) throws {
        let url = URL(fileURLWithPath: "\(root)/\(path)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try data.write(to: url)
    }

    package func write(_ text: String, to path: String) throws { try write(Data(text.utf8), to: path) }

    /// Bytes that look like nothing.
    package static func bytes(_ count: Int, seed: UInt64 = 1) -> Data {
        var random = SeededRandom(seed: seed)
        var data = Data(capacity: count + 8)
        while data.count < count { withUnsafeBytes(of: random.next()) { data.append(contentsOf: $0) } }
        return data.prefix(count)
    }

    /// What the environment of a program has to be so that this is its hub.
    package var environment: [String: String] {
        [
            "HF_ENDPOINT": address, "MODELSCOPE_ENDPOINT": address, "HF_HOME": scratch("hf"),
            "MODELSCOPE_CACHE": scratch("ms"), "XDG_CACHE_HOME": scratch("cache"),
        ]
    }

    /// What goes wrong from now on; forgets the requests so far.
    package func rules(_ rules: JSONValue...) throws { _ = try tell(["rules": .array(rules)]) }

    /// A setting of the server, such as the bytes of a part of an upload.
    package func set(_ name: String, _ value: Int) throws { _ = try tell(.object([name: .int(value)])) }

    /// The requests since the rules were given.
    package func log() throws -> [JSONValue] { try tell([:]).arrayValue ?? [] }

    private func tell(_ command: JSONValue) throws -> JSONValue {
        try input.fileHandleForWriting.write(contentsOf: Data((command.serialized() + "\n").utf8))
        while true {
            if let end = unread.firstIndex(of: 10) {
                let line = unread[unread.startIndex..<end]
                unread = Data(unread[(end + 1)...])
                return try JSONValue(parsing: Data(line))
            }
            let part = output.fileHandleForReading.availableData
            guard !part.isEmpty else { throw Failure(description: "the server has ended") }
            unread += part
        }
    }
}
