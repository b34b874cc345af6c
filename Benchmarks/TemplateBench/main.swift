import ApusJSON
import ApusText
import Foundation

// TemplateBench CASES.jsonl [--show N] [--errors]
//     Compares renderings with those of jinja2, as Scripts/parity/chat_templates.py and jinja_fuzz.py write them.
//     --errors prints both messages of every case that neither renders.
// TemplateBench --encode TEMPLATE.jinja
//     Measures how fast conversations are rendered and their answers delimited.

/// One rendering that jinja2 has done.
struct Case {
    let name: String
    let source: String
    let variables: [String: JSONValue]
    let expected: String?
    let error: String
}

func readCases(_ file: String) throws -> [Case] {
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    var sources: [String: String] = [:]
    var cases: [Case] = []
    for line in data.split(separator: UInt8(ascii: "\n")) {
        let value = try JSONValue(parsing: Data(line))
        let template = value["template"]?.stringValue
        if let template, let source = value["source"]?.stringValue {
            sources[template] = source
            continue
        }
        var variables: [String: JSONValue] = [:]
        if let object = value["variables"]?.objectValue { for (key, value) in object { variables[key] = value } }
        cases.append(
            Case(
                name: template.map { "\($0) \(value["case"]?.stringValue ?? "")" } ?? "",
                source: template.flatMap { sources[$0] } ?? value["source"]?.stringValue ?? "",
                variables: variables, expected: value["expected"]?.stringValue,
                error: value["error"]?.stringValue ?? ""))
    }
    return cases
}

/// Counts how our renderings relate to those of jinja2.
struct Comparison {
    private var templates: [String: Result<ChatTemplate, any Error>] = [:]
    private var (equal, bothRaise, different, onlyWeRaise, onlyTheyRaise, refused) = (0, 0, 0, 0, 0, 0)
    private var bytes = 0
    private let clock = TemplateClock.fixed(Date(timeIntervalSince1970: 1_785_074_709))
    // Python's integers have no limit, its powers may be complex, and its views of dictionaries subtract to sets;
    // ours are 64 bits and real, and there are no sets and no bytes, by decision.
    private let byDecision = [
        "64 bits", "complex numbers", "Python's sets", "there are no bytes", "str.encode", "str.translate",
        "str.maketrans",
    ]

    var isClean: Bool { different + onlyWeRaise + onlyTheyRaise == 0 }

    var summary: String {
        """
        \(templates.count) templates, \(bytes) bytes: equal \(equal), both raise \(bothRaise), different \(different), \
        only we raise \(onlyWeRaise), only jinja2 raises \(onlyTheyRaise), refused by decision \(refused)
        """
    }

    /// What is wrong with a case, or nil.
    mutating func compare(_ item: Case, showingErrors: Bool) -> String? {
        let template = templates[item.source] ?? Result { try ChatTemplate(source: item.source, clock: clock) }
        templates[item.source] = template
        switch (Result { try template.get().rendered(variables: item.variables) }, item.expected) {
        case (.success(let text), let expected?):
            bytes += text.utf8.count
            if text.utf8.elementsEqual(expected.utf8) {
                equal += 1
                return nil
            }
            different += 1
            return "ours:   \(text.debugDescription)\ntheirs: \(expected.debugDescription)"
        case (.failure(let error), nil):
            bothRaise += 1
            if showingErrors { print("\(item.error.prefix(100).debugDescription)  ours: \(error)") }
            return nil
        case (.failure(let error), let expected?):
            if byDecision.contains(where: { "\(error)".contains($0) }) {
                refused += 1
                return nil
            }
            onlyWeRaise += 1
            return "we raised \(error)\ntheirs: \(expected.debugDescription)"
        case (.success(let text), nil):
            onlyTheyRaise += 1
            return "jinja2 raised \(item.error)\nours:   \(text.debugDescription)"
        }
    }
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
    let time = try ContinuousClock().measure(body)
    return Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
}

func compare(_ file: String, show: Int, showingErrors: Bool) throws -> Bool {
    var comparison = Comparison()
    var shown = 0
    let cases = try readCases(file)
    let time = seconds {
        for item in cases {
            guard let complaint = comparison.compare(item, showingErrors: showingErrors), shown < show else { continue }
            shown += 1
            print("--- \(item.name.isEmpty ? item.source.debugDescription : item.name)\n\(complaint)")
        }
    }
    print("\(cases.count) cases in \(String(format: "%.3f", time)) s; \(comparison.summary)")
    return comparison.isClean
}

func measureEncoding(_ file: String) throws {
    let source = try String(decoding: Data(contentsOf: URL(fileURLWithPath: file)), as: UTF8.self)
    let template = try ChatTemplate(source: source, bosToken: "<s>", eosToken: "</s>")
    let encoder = ChatEncoder(template: template) { $0.utf8.map { Int32($0) } }
    let text = String(repeating: "Some words of a message. ", count: 20)
    let messages = ["user", "assistant", "user", "assistant"].map { Message(role: $0, content: text) }
    let count = 2000
    let rendering = try seconds { for _ in 0..<count { _ = try template.rendered(messages) } }
    let delimiting = try seconds { for _ in 0..<count { _ = try encoder.pieces(messages) } }
    print(
        "4 messages: \(Int(Double(count) / rendering)) renderings/s, \(Int(Double(count) / delimiting)) delimited/s")
}

let arguments = CommandLine.arguments
if arguments.count == 3, arguments[1] == "--encode" {
    try measureEncoding(arguments[2])
} else if arguments.count >= 2 {
    let show = arguments.firstIndex(of: "--show").flatMap { arguments.dropFirst($0 + 1).first }.flatMap { Int($0) }
    let isClean = try compare(arguments[1], show: show ?? 10, showingErrors: arguments.contains("--errors"))
    exit(isClean ? 0 : 1)
} else {
    print("usage: TemplateBench CASES.jsonl [--show N] [--errors] | TemplateBench --encode TEMPLATE.jinja")
    exit(2)
}
