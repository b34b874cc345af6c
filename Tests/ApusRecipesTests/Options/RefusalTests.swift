import Testing

@testable import ApusRecipes

/// Every field of ms-swift is accepted or refused by its name.
struct RefusalTests {
    /// The numbers of fields that ms-swift 4.6.0 accepts.
    @Test(
        arguments: [
            (.sft, 333), (.pt, 333), (.rlhf, 481), (.infer, 153), (.deploy, 164), (.rollout, 170), (.app, 171),
            (.eval, 174), (.export, 127), (.mergeLoRA, 127), (.sample, 120), (.webUI, 4),
        ] as [(Command, Int)])
    func theListsAreComplete(command: Command, count: Int) {
        #expect(MSSwiftFields.names(of: command).count == count)
    }

    @Test(arguments: Command.allCases.filter(\.isSupported))
    func everyFieldNotSupportedIsRefusedByName(command: Command) {
        for name in OptionTable.table(for: command).notYetSupported {
            for spelling in [name, String(name.map { $0 == "_" ? "-" : $0 })] {
                // Any device but this is one device.
                let value = name == "device_map" ? "cpu" : "some-value"
                let problems = refusal(["--\(spelling)", value], for: command)
                #expect(problems.count == 1)
                #expect(
                    problems.first?.hasPrefix("--\(spelling): ms-swift has it, Apus does not yet.") == true,
                    "\(problems)")
            }
        }
    }

    @Test func sftHasAnAnswerForEachOfThe333() {
        let table = OptionTable.table(for: .sft)
        let supported = table.options.filter { table.fieldNames.contains($0.name) }
        #expect(supported.count + table.notYetSupported.count == 333)
        #expect(table.notYetSupported.count < 90)
    }

    /// A command that spells out what Apus does anyway runs.
    @Test func valuesThatAskForNothing() {
        #expect(refusal(["--packing", "false", "--use-dora", "False", "--tuner_backend", "peft"]).isEmpty)
        #expect(refusal(["--ignore_data_skip", "--eval_metric", "acc", "--freeze_llm", "yes"]).count == 3)
        for (name, values) in NotYetOptions.valuesAlreadyTrue {
            let command = Command.allCases.first {
                $0.isSupported && OptionTable.table(for: $0).isNotYetSupported(name)
            }
            #expect(command != nil || MSSwiftFields.names(of: .rlhf).contains(name), "\(name) is no refused field")
            for value in values {
                if let command { #expect(refusal(["--\(name)", value], for: command).isEmpty) }
            }
        }
    }

    @Test func negationsOfRefusedFields() {
        #expect(refusal(["--no_check_model", "--no-remove-unused-columns"]).isEmpty)
        #expect(
            refusal(["--no-safe-serialization"]) == [
                "--no-safe-serialization (--safe_serialization): ms-swift has it, Apus does not yet. "
                    + "Weights are always written as safetensors."
            ])
    }

    @Test func adviceIsForRefusedFields() {
        for name in Set(NotYetOptions.advice.keys).union(NotYetOptions.exportAdvice.keys) {
            #expect(Command.allCases.contains { $0.isSupported && OptionTable.table(for: $0).isNotYetSupported(name) })
        }
    }

    @Test func abbreviationsOfRefusedFieldsAreSpelledOut() {
        #expect(
            refusal(["--sequence-par", "2"]) == [
                "--sequence-par (--sequence_parallel_size): ms-swift has it, Apus does not yet. Apus computes on one device; "
                    + "leave it out. Long samples need no padding here."
            ])
    }

    @Test func commandsAreRefusedByName() {
        for command in Command.allCases where !command.isSupported {
            #expect(command.refusal?.description.hasPrefix("\(command.rawValue): ms-swift has this command") == true)
            #expect(command.refusal?.exitCode == 2)
        }
        #expect(Command.sft.refusal == nil)
        #expect(Command(spelling: "merge_lora") == .mergeLoRA)
        #expect(Command(spelling: "web_ui") == .webUI)
        #expect(Command(spelling: "sfft") == nil)
    }
}
