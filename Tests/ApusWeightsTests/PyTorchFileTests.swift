import ApusJSON
import ApusTorch
import Foundation
import Testing

@testable import ApusWeights

/// `pytorch_model.bin`: the tensors of torch.save, and nothing else.
struct PyTorchFileTests {
    private static let reasons: [(name: String, reason: String)] =
        (try? JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: fixture("pytorch/refused.json")))))?
        .objectValue?.map { ($0, $1.stringValue ?? "") } ?? []

    private func compare(_ file: PyTorchFile, with safe: SafetensorsFile) throws {
        #expect(Set(file.tensorNames) == Set(safe.tensorNames))
        for name in file.tensorNames {
            #expect(try file.shape(of: name) == safe.shape(of: name), "\(name)")
            let dtype = try safe.dtype(of: name)
            #expect(try file.dtype(of: name) == dtype, "\(name)")
            let read = try file.tensor(name, dtype: dtype, device: .cpu).tensor
            let expected = try safe.tensor(name, dtype: dtype, device: .cpu).tensor
            #expect(try read.equals(expected), "\(name)")
        }
    }

    /// Those that begin with "old" are of the form before PyTorch 1.6.
    @Test(arguments: [
        "types", "views", "module", "parameters", "protocol-4", "wide-table", "old-types", "old-views",
        "old-parameters",
    ])
    func tensorsAreThoseOfTorch(name: String) throws {
        try compare(
            PyTorchFile(path: fixture("pytorch/\(name).bin")),
            with: SafetensorsFile(path: fixture("pytorch/\(name).safetensors")))
    }

    @Test func whatLiesInTheFileAsItIsWantedIsBorrowed() throws {
        let file = try PyTorchFile(path: fixture("pytorch/views.bin"))
        #expect(try file.tensor("whole", dtype: .float32, device: .cpu).isBorrowed)
        #expect(try file.tensor("rows", dtype: .float32, device: .cpu).isBorrowed)
        #expect(try !file.tensor("transposed", dtype: .float32, device: .cpu).isBorrowed)
        #expect(try !file.tensor("whole", dtype: .bfloat16, device: .cpu).isBorrowed)
        #expect(throws: WeightsError.self) { try file.shape(of: "absent") }
    }

    @Test func thereAreFilesToRefuse() { #expect(Self.reasons.count >= 70) }

    @Test(arguments: reasons) func everythingElseIsRefusedByName(name: String, reason: String) throws {
        let error = #expect(throws: WeightsError.self) {
            try PyTorchFile(path: fixture("pytorch/refused/\(name).bin"))
        }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    /// Damaged files are refused or read as something else, but nothing is read outside the file.
    @Test func damagedFilesDoNoHarm() throws {
        let folder = try TemporaryFolder()
        var generator = SeededGenerator(state: 20_261_121)
        for name in ["types", "views", "wide-table", "old-types", "old-views"] {
            let original = try contents(fixture("pytorch/\(name).bin"))
            var accepted = 0
            for _ in 0..<400 {
                let path = try folder.file("model.bin", generator.mutate(original, within: original.count))
                let isSound = try accepts {
                    let file = try PyTorchFile(path: path)
                    for name in file.tensorNames {
                        // A view may repeat one number over any shape; no model has such a one.
                        let count = try elementCount(of: file.shape(of: name)) ?? .max
                        guard count <= 1 << 20 else { continue }
                        _ = try file.tensor(name, dtype: file.dtype(of: name), device: .cpu).tensor.cloned()
                    }
                }
                accepted += isSound ? 1 : 0
            }
            #expect(accepted > 0 && accepted < 400)
        }
    }

    private static let cache = NSHomeDirectory() + "/.cache/apus/weights/"
    private static let hasMiniLM = ["minilm-l6-v2", "minilm-l6-v2-bin"].allSatisfy {
        FileManager.default.fileExists(atPath: cache + $0 + "/.complete")
    }

    // Skipped where the model is not in the cache.
    @Test(.enabled(if: hasMiniLM)) func aRealModelIsTheSameInBothFormats() throws {
        let file = try PyTorchFile(path: Self.cache + "minilm-l6-v2-bin/pytorch_model.bin")
        let safe = try SafetensorsFile(path: Self.cache + "minilm-l6-v2/model.safetensors")
        for name in safe.tensorNames {
            let expected = try safe.tensor(name, dtype: .float32, device: .cpu).tensor
            #expect(try file.tensor(name, dtype: .float32, device: .cpu).tensor.equals(expected), "\(name)")
        }
        print("minilm-l6-v2: \(safe.tensorNames.count) tensors equal in pytorch_model.bin and model.safetensors")
    }
}
