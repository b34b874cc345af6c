import Foundation
import Testing

@testable import ApusWeights

struct SafetensorsWriterTests {
    private static func sources(of file: SafetensorsFile) -> [WeightSource] {
        file.entries.map { WeightSource(copying: $0, from: file) }
    }

    @Test func writesTheBytesThatPythonWrites() throws {
        let folder = try TemporaryFolder()
        for (name, metadata) in [("all", SafetensorsWriter.defaultMetadata), ("plain", nil)] {
            let original = fixture("safetensors/\(name).safetensors")
            let file = try SafetensorsFile(path: original)
            let path = folder.path + "/" + name
            try SafetensorsWriter.write(Self.sources(of: file).shuffled(), metadata: metadata, to: path)
            let expected = try contents(original)
            #expect(try contents(path) == expected, "\(name)")
        }
    }

    @Test func savesOverTheFileItReads() throws {
        let folder = try TemporaryFolder()
        let original = try contents(fixture("safetensors/all.safetensors"))
        let path = try folder.file("model.safetensors", original)
        let file = try SafetensorsFile(path: path)
        try SafetensorsWriter.write(Self.sources(of: file), to: path)
        #expect(try contents(path) == original)
        #expect(file.mapping.withUnsafeBytes { $0.elementsEqual(original) })
        #expect(try folder.names() == ["model.safetensors"])
    }

    @Test func writesLargeTensorsInPieces() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/large"
        let count = 700_000
        let source = WeightSource(name: "w", dtype: .int32, shape: [count]) { sink in
            for start in stride(from: 0, to: count, by: 1000) {
                try (start..<start + 1000).map { Int32($0) }.withUnsafeBytes(sink)
            }
        }
        let whole = WeightSource(
            name: "v", dtype: .uint8, shape: [3 << 20], bytes: [UInt8](repeating: 5, count: 3 << 20))
        try SafetensorsWriter.write([whole, source], to: path)
        let file = try SafetensorsFile(path: path)
        let numbers = try file.withUnsafeBytes(of: file.entry(named: "w")) { Array($0.bindMemory(to: Int32.self)) }
        #expect(numbers == (0..<count).map { Int32($0) })
        #expect(try file.withUnsafeBytes(of: file.entry(named: "v")) { $0.allSatisfy { $0 == 5 } })
    }

    @Test func aFailedSaveLeavesTheOldFile() throws {
        struct Failure: Error {}
        let folder = try TemporaryFolder()
        let path = try folder.file("model.safetensors", [1, 2, 3])
        let broken = WeightSource(name: "a", dtype: .uint8, shape: [4]) { _ in throw Failure() }
        let short = WeightSource(name: "a", dtype: .uint8, shape: [4], bytes: [1, 2, 3])
        let long = WeightSource(name: "a", dtype: .uint8, shape: [4], bytes: [1, 2, 3, 4, 5])
        let huge = WeightSource(name: "a", dtype: .float64, shape: [1 << 40, 1 << 40], bytes: [])
        let reserved = WeightSource(name: "__metadata__", dtype: .uint8, shape: [0], bytes: [])
        #expect(throws: Failure.self) { try SafetensorsWriter.write([broken], to: path) }
        for bad in [[short], [long], [huge], [reserved], [short, short]] {
            #expect(throws: WeightsError.self) { try SafetensorsWriter.write(bad, to: path) }
        }
        #expect(try contents(path) == [1, 2, 3])
        #expect(try folder.names() == ["model.safetensors"])
    }
}
