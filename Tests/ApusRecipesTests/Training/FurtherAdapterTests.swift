import ApusJSON
import Foundation
import Testing

@testable import ApusRecipes

/// Training that goes on from an adapter takes from its file what the file says, as ms-swift does.
@Suite(.serialized) struct FurtherAdapterTests {
    @Test(arguments: ["lora", "vera", "randlora", "vblora"])
    func dropoutIsTheFiles(tuner: String) throws {
        func drop(_ probability: Double, _ settings: inout SFTSettings) {
            if tuner == "lora" {
                settings.tuner.loraDropout = probability
            } else {
                settings.tuner.methodOptions["\(tuner)_dropout"] = .number(probability)
            }
        }
        let run = try TinyRun().with {
            $0.model.tunerType = TunerType(rawValue: tuner) ?? .full
            $0.tuner.targetModules = ["q_proj", "v_proj"]
            $0.optimization.maxSteps = 2
            switch tuner {
            case "vblora":
                $0.tuner.methodOptions["vector_length"] = .integer(8)
                $0.tuner.methodOptions["num_vectors"] = .integer(16)
            case "vera", "randlora": $0.tuner.methodOptions["\(tuner)_rank"] = .integer(4)
            default: break
            }
            drop(0.5, &$0)
        }
        try run()
        func stored(_ run: TinyRun) throws -> JSONValue? {
            let path = "\(run.output)/checkpoint-2/adapter_config.json"
            return try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: path)))["\(tuner)_dropout"]
        }
        // A new adapter takes it from the command line.
        #expect(try stored(run) == 0.5)
        let further = run.with {
            $0.model.adapters = ["\(run.output)/checkpoint-2"]
            $0.output.outputDirectory = $0.outputDirectory + "-on"
            drop(0, &$0)
        }
        try further()
        #expect(try stored(further) == 0.5)
    }
}
