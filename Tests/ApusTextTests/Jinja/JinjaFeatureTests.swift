import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// Renders the templates of `features.jsonl` and compares with what jinja2 made of them.
struct JinjaFeatureTests {
    static let lines: [JSONValue] = {
        let data = (try? Data(contentsOf: fixture("jinja/features.jsonl"))) ?? Data()
        return data.split(separator: UInt8(ascii: "\n")).compactMap { try? JSONValue(parsing: Data($0)) }
    }()

    @Test func everyFeatureRendersAsInJinja2() throws {
        let object = try #require(Self.lines.first?["variables"]?.objectValue)
        let variables = Dictionary(uniqueKeysWithValues: object.map { ($0.key, $0.value) })
        #expect(Self.lines.count > 350)
        for line in Self.lines.dropFirst() {
            let source = try #require(line["source"]?.stringValue)
            let rendering = Result {
                try ChatTemplate(source: source).rendered(variables: variables)
            }
            switch (rendering, line["expected"]?.stringValue) {
            case (.success(let text), let expected?):
                #expect(text.utf8.elementsEqual(expected.utf8), "\(source.debugDescription): \(text.debugDescription)")
            case (.failure, nil): break
            case (.failure(let error), _?): Issue.record("\(source.debugDescription) raised \(error)")
            case (.success(let text), nil):
                Issue.record("\(source.debugDescription) must raise, gave \(text.debugDescription)")
            }
        }
    }

    private func error(_ source: String) -> JinjaError? {
        do {
            _ = try ChatTemplate(source: source).rendered(variables: [:])
            return nil
        } catch { return error as? JinjaError }
    }

    @Test func errorsNameWhatAndWhere() {
        #expect(error("a\n{{ x.y }}")?.description == "chat template, line 2: 'x' is undefined")
        #expect(error("\n\n{{ 1|nope }}")?.description == "chat template, line 3: No filter named 'nope'.")
        #expect(error("{{ 1 is nope }}")?.description == "chat template, line 1: No test named 'nope'.")
        #expect(error("{{ raise_exception('no') }}")?.kind == .raised)
        #expect(error("{{ raise_exception('no') }}")?.message == "no")
        for tag in ["include 'x'", "import 'x' as y", "from 'x' import y", "extends 'x'", "block b", "autoescape true"]
        {
            #expect(error("{% \(tag) %}")?.kind == .unsupported)
        }
        #expect(error("{{ 9223372036854775807 + 1 }}")?.message.contains("64 bits") == true)
        #expect(error("{{ 9223372036854775808 }}")?.message.contains("64 bits") == true)
        #expect(error("{{ (-9223372036854775807 - 1) // -1 }}")?.message.contains("64 bits") == true)
        #expect(error("{{ (-9223372036854775807 - 1)|abs }}")?.message.contains("64 bits") == true)
        #expect(error("{{ 3 ** 99 }}")?.message.contains("64 bits") == true)
    }

    @Test func integersBeyond64BitsAreWrittenAsTheyAre() throws {
        let template = try ChatTemplate(
            source: "{{ n }} {{ d|tojson }} {{ n is integer }} {{ n is float }} {{ n > 1 }} {{ n == d.n }} {{ m|abs }} "
                + "{{ n|int }} {{ '%s' % n }} {{ f|tojson }}")
        let digits = "123456789012345678901234567890"
        let data = try JSONValue(
            parsing: "{\"n\": \(digits), \"d\": {\"n\": \(digits)}, \"m\": -18446744073709551616, \"f\": 1e20}")
        let object = try #require(data.objectValue)
        let text = try template.rendered(variables: Dictionary(uniqueKeysWithValues: object.map { ($0.key, $0.value) }))
        #expect(
            text == "\(digits) {\"n\": \(digits)} True False True True 18446744073709551616 \(digits) \(digits) 1e+20")
        let sum = try ChatTemplate(source: "{{ n + 1 }}")
        #expect(throws: JinjaError.self) { try sum.rendered(variables: ["n": .number(digits)]) }
    }

    @Test func lineBreaksAndGraphemesCountAsCodePoints() throws {
        let template = try ChatTemplate(source: "{{ s|length }} {{ s[1] == '\\n' }} {{ t|length }} {{ t == 'é' }}")
        let text = try template.rendered(variables: ["s": .string("\r\n"), "t": .string("e\u{301}")])
        #expect(text == "2 True 2 False")
    }

    @Test func floatsPrintAsInPython() {
        let expected: [(Double, String)] = [
            (1, "1.0"), (0.1, "0.1"), (1e15, "1000000000000000.0"), (1e16, "1e+16"),
            (123_456_789_012_345_680, "1.2345678901234568e+17"),
            (1e-4, "0.0001"), (1e-5, "1e-05"), (1.5e-7, "1.5e-07"), (1e100, "1e+100"), (-2.5e-300, "-2.5e-300"),
            (.leastNonzeroMagnitude, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"), (-0.0, "-0.0"),
            (.infinity, "inf"),
            (12345.678, "12345.678"), (9_007_199_254_740_992, "9007199254740992.0"),
        ]
        for (value, text) in expected { #expect(PythonFloat.repr(value) == text) }
    }

    @Test func datesFollowTheClock() throws {
        let source = "{{ strftime_now('%d %b %Y|%Y-%m-%d|%H:%M:%S|%A|%j|%y|%B|%f|%Z|%%|%-d') }}"
        let clock = TemplateClock.fixed(Date(timeIntervalSince1970: 1_772_715_909.25))
        let text = try ChatTemplate(source: source, clock: clock).rendered([])
        #expect(text == "05 Mar 2026|2026-03-05|13:05:09|Thursday|064|26|March|250000||%|5")
    }

    // MARK: - Several templates of one model

    private func rendered(_ sources: [String: String], tools: [JSONValue]?) throws -> String {
        let template = try ChatTemplate(sources: sources, specialTokens: ["pad_token": "<pad>", "image_token": "<i>"])
        return try template.rendered(
            [Message(role: "user", content: "q")], tools: tools, addGenerationPrompt: false, variables: [:])
    }

    @Test func toolsChooseTheTemplateForThem() throws {
        let tool: JSONValue = ["type": "function", "function": ["name": "f"]]
        let both = [
            "default": "D{{ messages[0].content }}{{ pad_token }}{{ image_token }}{{ unk_token is defined }}",
            "tool_use": "T{{ tools|length }}{{ messages[0].content }}", "rag": "{% broken",
        ]
        #expect(try rendered(both, tools: nil) == "Dq<pad><i>False")
        #expect(try rendered(both, tools: [tool]) == "T1q")
        // A list without tools was still given.
        #expect(try rendered(both, tools: []) == "T0q")
        #expect(try rendered(["default": "D{{ tools|length }}"], tools: [tool]) == "D1")
    }

    @Test func missingDefaultsAreNamed() throws {
        let sources = ["tool_use": "T{{ tools|length }}", "rag": "r"]
        #expect(try rendered(sources, tools: [.null]) == "T1")
        let error = #expect(throws: JinjaError.self) { try rendered(sources, tools: nil) }
        #expect(error?.message.contains("rag, tool_use and none named default") == true)
    }

    @Test func oneTemplateRendersOnManyThreads() async throws {
        let template = try ChatTemplate(
            source: "{% for m in messages %}{{ m.role }}:{{ m.content|upper }};{% endfor %}")
        let texts = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<64 {
                group.addTask { try template.rendered([Message(role: "user", content: "a\(number % 4)")]) }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(texts == ["user:A0;", "user:A1;", "user:A2;", "user:A3;"])
    }
}
