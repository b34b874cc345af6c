import Testing

@testable import ApusRecipes

struct EnvironmentVariableTests {
    private func check(_ environment: [String: String], _ words: String = "") throws -> [String] {
        var notices: [String] = []
        let words = ["--model", "m", "--dataset", "d"] + words.split(separator: " ").map(String.init)
        let settings = try SFTSettings(ArgumentLine(words, for: .sft), notices: &notices)
        return try EnvironmentVariables.check(environment, for: settings)
    }

    /// One process and one device; more are refused by name.
    @Test func processes() throws {
        #expect(try check([:]) == [])
        #expect(try check(["NPROC_PER_NODE": "1", "CUDA_VISIBLE_DEVICES": "0"]).count == 1)
        #expect(try check(["CUDA_VISIBLE_DEVICES": "0,1", "WORLD_SIZE": "1", "NNODES": ""]).count == 1)
        for name in ["NPROC_PER_NODE", "NNODES", "WORLD_SIZE", "LOCAL_WORLD_SIZE"] {
            #expect { try check([name: "2"]) } throws: { "\($0)".hasPrefix("\(name)=2: Apus computes in one process") }
        }
        #expect(throws: UsageError.self) { try check(["NPROC_PER_NODE": "gpu"]) }
    }

    @Test func withoutEffect() throws {
        let notices = try check(["MAX_PIXELS": "1003520", "FPS_MAX_FRAMES": "12", "WANDB_API_KEY": "secret"])
        #expect(notices.count == 2)
        #expect(notices.first?.hasPrefix("MAX_PIXELS, FPS_MAX_FRAMES: without effect, because ") == true)
        #expect(!notices.contains { $0.contains("secret") })
    }

    /// What would change numbers is refused where ms-swift would read it.
    @Test func conditions() throws {
        let negatives = ["MAX_NEGATIVE_SAMPLES": "3"]
        #expect(try check(negatives) == [])
        #expect { try check(negatives, "--task_type reranker") } throws: {
            "\($0)".hasPrefix("MAX_NEGATIVE_SAMPLES=3: ms-swift reads it, Apus does not yet: ")
        }
        #expect(try check(["MAX_NEGATIVE_SAMPLES": "7"], "--task_type reranker") == [])
        #expect(try check(["INFONCE_USE_BATCH": "True"], "--task_type embedding --loss_type infonce") == [])
        #expect(throws: UsageError.self) {
            try check(["INFONCE_USE_BATCH": "0"], "--task_type embedding --loss_type infonce")
        }
        #expect(try check(["INFONCE_USE_BATCH": "0"], "--task_type embedding") == [])
        #expect(throws: UsageError.self) { try check(["RANDOM_DATASET_RESPONSE": "1"]) }
        #expect(try check(["THINKING_BUDGET": "512"]) == [])
        #expect(try check(["SEED_USE_THINKING": "1"], "--template seed_oss") == [])
        for (name, value) in ["THINKING_BUDGET": "512", "SEED_USE_THINKING": "0", "SEED_USE_BUDGET_INTERVAL": "1"] {
            #expect(throws: UsageError.self) { try check([name: value], "--template seed_oss") }
        }
    }

    /// What a variable asks of one command it asks of all that would read it.
    @Test func otherCommands() throws {
        var notices: [String] = []
        let pairs = try RLHFSettings(ArgumentLine(["--model", "m", "--dataset", "d"], for: .rlhf), notices: &notices)
        #expect(notices.isEmpty, "\(notices)")
        #expect(throws: UsageError.self) {
            try EnvironmentVariables.check(["RANDOM_DATASET_RESPONSE": "1"], for: pairs)
        }
        let words = ["--model", "m", "--template", "seed_oss"]
        let infer = try InferSettings(ArgumentLine(words, for: .infer), notices: &notices)
        #expect(throws: UsageError.self) { try EnvironmentVariables.check(["THINKING_BUDGET": "512"], for: infer) }
        let random = ["RANDOM_DATASET_RESPONSE": "1"]
        #expect(try EnvironmentVariables.check(random, for: infer) == [], "a chat reads no rows")
        let rows = try InferSettings(ArgumentLine(words + ["--val_dataset", "v"], for: .infer), notices: &notices)
        #expect(throws: UsageError.self) { try EnvironmentVariables.check(random, for: rows) }
        #expect(try EnvironmentVariables.check(["RANDOM_DATASET_RESPONSE": "0"], for: rows) == [])
    }

    /// The command line wins over the environment.
    @Test func options() throws {
        let environment = ["INFONCE_TEMPERATURE": "0.05"]
        var line = try ArgumentLine(["--model", "m"], for: .sft)
        #expect(try EnvironmentVariables.fill(&line, from: environment).count == 1)
        #expect(line["infonce_temperature"] == .number(0.05))
        line = try ArgumentLine(["--infonce_temperature", "0.2"], for: .sft)
        #expect(try EnvironmentVariables.fill(&line, from: environment).count == 1)
        #expect(line["infonce_temperature"] == .number(0.2))
        line = try ArgumentLine([], for: .sft)
        #expect(throws: UsageError.self) { try EnvironmentVariables.fill(&line, from: ["INFONCE_TEMPERATURE": "x"]) }
    }

    @Test func eachStandsOnce() {
        let names = EnvironmentVariables.all.flatMap(\.names)
        #expect(Set(names).count == names.count)
    }
}
