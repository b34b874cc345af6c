import Foundation
import Testing

@testable import ApusTorch

/// What a pass over quantised layers keeps for its backward pass does not contain the matrices.
///
/// The memory of a process is what is measured, so this one has a process of its own.
struct QuantizedMemoryTests {
    private static let path = ProcessInfo.processInfo.environment["APUS_TEST_GROWTH"]
    private static let (size, layers) = (1024, 32)

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/proc/self/status"))) func matricesAreNotKept() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-growth-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = [
            "--testing-library", "swift-testing", "--filter", "QuantizedMemoryTests/writesItsGrowth",
        ]
        process.environment = ProcessInfo.processInfo.environment.merging(["APUS_TEST_GROWTH": path]) { $1 }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        let growth = try String(contentsOfFile: path, encoding: .utf8).split(separator: " ").compactMap { Int($0) }
        let matrices = 4 * Self.size * Self.size * Self.layers
        #expect(growth.count == 2)
        print(
            "memory of a pass over \(matrices >> 20) MiB of matrices: \(growth[0] >> 20) MiB, in full \(growth[1] >> 20) MiB"
        )
        #expect(growth[0] < matrices / 4)
        // The same with matrices that are kept in full, which shows that it would be seen.
        #expect(growth[1] > matrices * 3 / 4)
    }

    @Test(.enabled(if: path != nil)) func writesItsGrowth() throws {
        guard let path = Self.path else { return }
        let code = (0..<16).map { Float($0) / 7.5 - 1 }
        let matrices = try (0..<Self.layers).map { layer in
            let numbers = try Tensor.empty([Self.size, Self.size], dtype: .float32)
            try numbers.fillNormal(deviation: 0.03, generator: Generator(seed: UInt64(layer)))
            return try QuantizedMatrix(fourBits: numbers, code: code, block: 64)
        }
        let x = try Tensor.ones([4, Self.size])
        try x.setRequiresGradient(true)
        /// What is held when all layers have run and none has run back.
        func growth(_ body: (Tensor, QuantizedMatrix) throws -> Tensor) throws -> Int {
            _ = try body(x, matrices[0])
            let before = try resident()
            let y = try matrices.reduce(x) { try body($0, $1) }
            let held = try resident() - before
            try y.sum().backward()
            return held
        }
        let quantized = try growth { try linear($0, $1, nil, dtype: .float32) }
        let full = try growth { try linear($0, $1.dequantized(.float32)) }
        try "\(quantized) \(full)".write(toFile: path, atomically: true, encoding: .utf8)
    }

    private func resident() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
        return try #require(kibibytes) * 1024
    }
}
