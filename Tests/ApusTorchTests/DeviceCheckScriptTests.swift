import Foundation
import Testing

/// `Scripts/gpu-check` tells what it has found whatever the programs do that it runs.
struct DeviceCheckScriptTests {
    private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Scripts/gpu-check").path

    /// A device-check that cuts a line, writes bytes that are no text, and does not end when it is asked to.
    private static let program = """
        #!/usr/bin/env bash
        case $1 in
            load)
                echo '{"part": "load", "item": "right", "ok": true}'
                echo '{"part": "load", "item": "wrong", "ok": false}'
                printf '\\377\\376 cut \\001 "here" \\342\\202\\n' >&2
                printf '{"part": "load", "it\\303'
                exit 3 ;;
            operations) echo '[1]' ;;
            models) trap '' TERM; while :; do sleep 1; done ;;
        esac
        """

    @Test func theTableComesInTimeAndLosesNothing() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let program = folder.appendingPathComponent("device-check").path
        try Self.program.write(toFile: program, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)

        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments =
            [Self.script, "--device", "cpu", "--tiny", "--torch", "", "--limit", "24", "--programs", folder.path]
            + ["--out", folder.appendingPathComponent("out").path, "load", "operations", "resume", "models", "curve"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        let start = ProcessInfo.processInfo.systemUptime
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()

        #expect(process.terminationStatus == 1)
        #expect(ProcessInfo.processInfo.systemUptime - start < 24)
        let lines = text.split(separator: "\n")
        func has(_ words: String...) -> Bool { lines.contains { line in words.allSatisfy { line.contains($0) } } }
        #expect(has("load ", "status 3"))
        #expect(has("WRONG", "\"item\": \"wrong\""))
        #expect(has("WRONG", "unreadable", "[1]"))
        #expect(has("WRONG", "unreadable", "load"))
        #expect(has("\"status\": 3", " cut  here "))
        // There is no program to resume.
        #expect(has("WRONG", "\"part\": \"resume\"") && !has("resumed run"))
        #expect(has("models ", "status 137"))
        #expect(has("curve ", "left out, no time"))
        #expect(lines.last?.hasPrefix("gpu-check: 2 right, ") == true, "\(text)")
    }
}
