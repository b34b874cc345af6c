import Foundation
import Testing

@testable import ApusRecipes

/// The page about flags says what the command line does.
struct CompatibilityTests {
    private static let exact = Command.allCases.filter { $0.isSupported && !MSSwiftFields.names(of: $0).isEmpty }

    @Test(arguments: exact)
    func everyFlagHasAStanding(command: Command) {
        let names = MSSwiftFields.names(of: command)
        let counts = CompatibilityPage.counts(of: command)
        #expect(counts.values.reduce(0, +) == names.count)
        for name in names {
            #expect(FlagStanding(name, in: command)?.text.isEmpty == false, "\(command.rawValue) --\(name)")
        }
    }

    /// What the page calls refused is refused, what it calls without effect is noted, and what works is neither.
    @Test(arguments: exact)
    func standingsAreWhatTheReaderDoes(command: Command) throws {
        for name in MSSwiftFields.names(of: command) {
            let standing = try #require(FlagStanding(name, in: command))
            let option = OptionTable.table(for: command)[name]
            let word = option.map { Self.word(for: $0.kind) } ?? NotYetOptions.usualValues[name] ?? "some-value"
            let problems = refusal(["--\(name)", word], for: command)
            switch standing.verdict {
            case .refused: #expect(problems.first?.contains("ms-swift has it, Apus does not yet") == true, "\(name)")
            case .works: #expect(problems == [], "\(name)")
            case .withoutEffect:
                let line = try ArgumentLine(["--\(name)", word], for: command)
                #expect(line.notices.contains { $0.contains("has no effect: ") }, "\(name): \(line.notices)")
            }
        }
    }

    private static func word(for kind: OptionKind) -> String {
        switch kind {
        case .text, .escapedText, .prompt, .list: "text"
        case .integer(let range): String(max(range.lowerBound, min(range.upperBound, 2)))
        case .number(let range): range.contains(0.5) ? "0.5" : "2"
        case .boolean: "true"
        case .choice(let words, _), .choices(let words, _), .chain(let words, _): words[0]
        case .integers, .numbers: "1"
        case .mapping, .json: #"{"a": "b"}"#
        }
    }

    @Test func usualValuesAreThoseWithAReason() {
        for command in Self.exact {
            for name in OptionTable.table(for: command).notYetSupported {
                let isUsual = ["peft", "auto", "zero2", "true"].contains { NotYetOptions.reason(name, [$0]) != nil }
                #expect(isUsual == (NotYetOptions.usualValues[name] != nil), "\(name)")
            }
        }
    }

    @Test func oneFlag() {
        let page = CompatibilityPage(filter: "--deepspeed=zero3").text(columns: 80)
        #expect(page.contains("--deepspeed (sft"))
        #expect(page.contains("one process computes on one device"))
        #expect(page.split(separator: "\n").allSatisfy { $0.count <= 80 })
        #expect(CompatibilityPage(filter: "sft_type").text(columns: 80).contains("--tuner_type"))
        #expect(CompatibilityPage(filter: "MAX_PIXELS").text(columns: 80).contains("MAX_PIXELS in the environment"))
        #expect(CompatibilityPage(filter: "lora_rnk").text(columns: 80).contains("Did you mean --lora_rank"))
    }

    /// Lists of choices too, which are longer than a line.
    @Test(arguments: [60, 80, 100]) func theWholePageFits(columns: Int) {
        let lines = CompatibilityPage().text(columns: columns).split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= columns }, "\(lines.filter { $0.count > columns })")
        let words = lines.joined().filter { $0 != " " }
        #expect(words.contains("sigmoid|hinge|ipo|exo_pair|nca_pair|robust|bco_pair|sppo_hard|aot"))
    }

    @Test func countsStandAtTheTop() {
        let lines = CompatibilityPage().text(columns: 100).split(separator: "\n").prefix(8)
        #expect(lines.contains { $0.hasPrefix("sft ") && $0.contains(" 333 ") }, "\(lines)")
    }

    /// `Scripts/compatibility` writes it anew.
    @Test func thePageInDocsIsTheProgramsOwn() throws {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        let page = try String(contentsOf: root.appendingPathComponent("Docs/compatibility.md"), encoding: .utf8)
        #expect(page == CompatibilityPage.markdown, "Docs/compatibility.md is stale: run Scripts/compatibility")
    }
}
