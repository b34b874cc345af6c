import ApusLanguageModel
import ApusModels
import Testing

@testable import ApusRecipes

struct HelpPageTests {
    @Test(arguments: Command.allCases.filter(\.isSupported))
    func listsEveryOptionInAScreenPerGroup(command: Command) {
        let page = HelpPage(command).description
        for option in OptionTable.table(for: command).options where option.status == .supported {
            #expect(page.contains("  --\(option.name) "), "\(option.name)")
        }
        let groups = page.split(separator: "\n\n", omittingEmptySubsequences: true)
        #expect(groups.allSatisfy { $0.split(separator: "\n").count <= 48 })
        #expect(page.split(separator: "\n").allSatisfy { $0.count <= 100 })
        #expect(!page.contains("Apus does not yet"))
    }

    @Test func showsDefaults() {
        let page = HelpPage(.sft).description
        #expect(page.contains("  --lora_rank INT                 Rank r of the adapter. [8]\n"))
        #expect(page.contains("[None → 1e-4; 1e-5 for --tuner_type full]"))
        #expect(page.contains("One of \(Models.registry.types.count)\n"))
    }

    @Test(arguments: Command.allCases.filter(\.isSupported), [60, 79, 80, 100, 300])
    func fitsTheTerminal(command: Command, columns: Int) {
        let page = HelpPage(command, columns: columns).description
        for line in page.split(separator: "\n") where line.split(separator: " ").count > 2 {
            #expect(line.count <= min(columns, 100), "\(line)")
        }
        #expect(page.contains("\nExamples\n"))
        #expect(command.examples.count == 2)
        for example in command.examples { #expect(example.contains("apus \(command.rawValue) ")) }
    }

    @Test func allShowsWhatIsRefused() {
        let page = HelpPage(.sft, showsAll: true).description
        for name in OptionTable.table(for: .sft).notYetSupported { #expect(page.contains(name)) }
        #expect(page.contains("Accepted without effect"))
    }

    @Test(arguments: [["--help"], ["-h"], ["--help_all"], ["--help-all"], ["--model", "m", "--help"]])
    func isAskedFor(words: [String]) {
        #expect(HelpPage.requested(by: words, for: .sft) != nil)
    }

    @Test func isNotAskedFor() {
        #expect(HelpPage.requested(by: ["--text", "help"], for: .tokenize) == nil)
    }

    @Test func tablesAreSound() {
        for command in Command.allCases {
            let names = OptionTable.table(for: command).options.map(\.name)
            #expect(Set(names).count == names.count, "an option stands twice for \(command)")
        }
        // Flags without effect are all of ms-swift.
        for command in Command.allCases {
            let table = OptionTable.table(for: command)
            for option in table.options where option.status != .supported {
                #expect(table.fieldNames.contains(option.name), "\(command.rawValue) --\(option.name)")
            }
        }
    }
}
