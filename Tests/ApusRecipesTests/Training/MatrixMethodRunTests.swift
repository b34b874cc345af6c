import ApusJSON
import Foundation
import Testing

@testable import ApusRecipes

/// Whole runs of the methods that change matrices and norms, with their dropouts on.
@Suite(.serialized) struct MatrixMethodRunTests {
    static let methods: [(tuner: String, options: [(String, OptionValue)])] = [
        ("loha", [("loha_rank_dropout", .number(0.2)), ("loha_module_dropout", .number(0.2))]),
        ("lokr", [("lokr_init_weights", .text("lycoris")), ("lokr_rank_dropout", .number(0.2))]),
        ("oft", [("oft_coft", .boolean(true)), ("oft_eps", .number(0.1)), ("oft_module_dropout", .number(0.3))]),
        ("boft", [("boft_n_butterfly_factor", .integer(2)), ("boft_dropout", .number(0.3))]),
        ("hra", [("hra_apply_GS", .boolean(true))]),
        ("miss", [("miss_r", .integer(6)), ("miss_dropout", .number(0.2))]),
        ("ln_tuning", []), ("road", [("road_group_size", .integer(8))]),
        ("hira", [("hira_dropout", .number(0.2))]), ("delora", [("delora_module_dropout", .number(0.2))]),
    ]

    /// A stopped run goes on to the same numbers, and its adapter is trained further.
    @Test(arguments: methods.indices) func interruptedIsUninterrupted(index: Int) throws {
        let (tuner, options) = Self.methods[index]
        let run = try TinyRun().with {
            $0.model.tunerType = TunerType(rawValue: tuner) ?? .full
            for (name, value) in options { $0.tuner.methodOptions[name] = value }
        }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        let arguments = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(run.output)/checkpoint-6/args.json")))
        let read = try SFTSettings(argsJSON: #require(arguments.objectValue))
        for (name, value) in options { #expect(read.tuner.methodOptions[name] == value, "\(name)") }
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "last" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
        let further = run.with {
            $0.model.adapters = ["\(run.output)/checkpoint-6"]
            $0.output.outputDirectory = $0.outputDirectory + "-on"
            $0.optimization.maxSteps = 2
        }
        try further()
        #expect(try further.numbers(2)[0] != whole[0])
    }
}
