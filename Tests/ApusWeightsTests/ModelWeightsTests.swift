import Foundation
import Testing

@testable import ApusWeights

struct ModelWeightsTests {
    private static var tensors: [WeightSource] {
        (0..<5).map { index in
            WeightSource(name: "t\(index)", dtype: .uint8, shape: [index + 1], bytes: (0...index).map { UInt8($0) })
        }
    }

    private static func shards(_ folder: TemporaryFolder, maximum: Int = 6) throws -> [String] {
        try ModelWeightsWriter.write(tensors, to: folder.path, maximumShardSize: maximum)
    }

    @Test func splitsAsTransformersDoes() throws {
        let folder = try TemporaryFolder()
        let names = try Self.shards(folder, maximum: 4)
        // t4 is larger than a shard; t0, t1 fit together; then t2 and t3 alone.
        #expect(names.count == 5)
        let model = try ModelWeights(folder: folder.path)
        #expect(model.names == ["t0", "t1", "t2", "t3", "t4"])
        #expect(model.unlistedNames.isEmpty)
        for index in 0..<5 {
            let (file, entry) = try #require(model["t\(index)"])
            #expect(try file.withUnsafeBytes(of: entry) { Array($0) } == (0...index).map { UInt8($0) })
        }
        let place = { (name: String) in model[name].map { URL(fileURLWithPath: $0.file.path).lastPathComponent } }
        #expect(place("t0") == "model-00001-of-00004.safetensors")
        #expect(place("t1") == "model-00001-of-00004.safetensors")
        #expect(place("t2") == "model-00002-of-00004.safetensors")
        #expect(place("t4") == "model-00003-of-00004.safetensors")
        #expect(place("t3") == "model-00004-of-00004.safetensors")
    }

    @Test func writesTheIndexOfTransformers() throws {
        let folder = try TemporaryFolder()
        try ModelWeightsWriter.write(Array(Self.tensors.prefix(2)), to: folder.path, maximumShardSize: 2)
        let text = String(decoding: try contents(folder.path + "/model.safetensors.index.json"), as: UTF8.self)
        #expect(
            text == """
                {
                  "metadata": {
                    "total_size": 3
                  },
                  "weight_map": {
                    "t0": "model-00001-of-00002.safetensors",
                    "t1": "model-00002-of-00002.safetensors"
                  }
                }

                """)
    }

    @Test func aSaveReplacesAnEarlierOneOfAnotherShape() throws {
        let folder = try TemporaryFolder()
        _ = try folder.file("model-notes-of-mine.safetensors", [1])
        _ = try folder.file("adapter_model.safetensors", [1])
        let others = ["adapter_model.safetensors", "model-notes-of-mine.safetensors"]
        let many = try Self.shards(folder, maximum: 4)
        #expect(try folder.names() == (many + others).sorted())
        let few = try Self.shards(folder, maximum: 8)
        #expect(few.count < many.count)
        #expect(try folder.names() == (few + others).sorted())
        let one = try Self.shards(folder, maximum: 100)
        #expect(one == ["model.safetensors"])
        #expect(try folder.names() == (one + others).sorted())
        #expect(try ModelWeights(folder: folder.path).names.count == 5)
        let again = try Self.shards(folder, maximum: 8)
        #expect(try folder.names() == (again + others).sorted())
    }

    @Test func anEmptyModelIsOneFile() throws {
        let folder = try TemporaryFolder()
        #expect(try ModelWeightsWriter.write([], to: folder.path) == ["model.safetensors"])
        #expect(try ModelWeights(folder: folder.path).names.isEmpty)
    }

    @Test func refusesOneNameInTwoShards() throws {
        let folder = try TemporaryFolder()
        #expect(throws: WeightsError.self) {
            try ModelWeightsWriter.write(Self.tensors + Self.tensors, to: folder.path, maximumShardSize: 4)
        }
        #expect(try folder.names() == [])
    }

    @Test func refusesAFolderWithoutWeights() throws {
        let folder = try TemporaryFolder()
        #expect(throws: WeightsError.self) { try ModelWeights(folder: folder.path) }
    }

    @Test(arguments: [
        "{", "[]", "{}", #"{"weight_map": {}}"#, #"{"weight_map": {"t0": 1}}"#,
        #"{"weight_map": {"t0": "model-00001-of-00002.safetensors", "t0": "model-00001-of-00002.safetensors"}}"#,
        #"{"weight_map": {"t0": "../model-00001-of-00002.safetensors"}}"#,
        #"{"weight_map": {"t0": "/etc/passwd"}}"#,
        #"{"weight_map": {"t0": "/tmp/x.safetensors"}}"#,
        #"{"weight_map": {"t0": "a/../../x.safetensors"}}"#,
        #"{"weight_map": {"t0": "..\\x.safetensors"}}"#,
        #"{"weight_map": {"t0": "pytorch_model.bin"}}"#,
        #"{"weight_map": {"t0": "absent.safetensors"}}"#,
        #"{"weight_map": {"absent": "model-00001-of-00002.safetensors"}}"#,
        #"{"weight_map": {"t0": "model-00002-of-00002.safetensors"}}"#,
    ])
    func refusesAnIndex(_ text: String) throws {
        let folder = try TemporaryFolder()
        try ModelWeightsWriter.write(Array(Self.tensors.prefix(2)), to: folder.path, maximumShardSize: 2)
        _ = try folder.file("model.safetensors.index.json", Array(text.utf8))
        #expect(throws: WeightsError.self) { try ModelWeights(folder: folder.path) }
    }

    @Test func refusesATensorInTwoShardsAndReportsUnlistedOnes() throws {
        let folder = try TemporaryFolder()
        try ModelWeightsWriter.write(Array(Self.tensors.prefix(2)), to: folder.path, maximumShardSize: 2)
        let second = folder.path + "/model-00002-of-00002.safetensors"
        try SafetensorsWriter.write([Self.tensors[1], Self.tensors[3]], to: second)
        #expect(try ModelWeights(folder: folder.path).unlistedNames == ["t3"])
        #expect(try ModelWeights(folder: folder.path).names == ["t0", "t1"])
        try SafetensorsWriter.write([Self.tensors[1], Self.tensors[0]], to: second)
        #expect(throws: WeightsError.self) { try ModelWeights(folder: folder.path) }
    }
}
