import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// Texts that grammars take, against Python's `re` and `jsonschema` (Scripts/fixtures/make_grammars.py).
struct GrammarTests {
    static let file: JSONValue = {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/grammars/grammars.json")
        return (try? JSONValue(parsing: Data(contentsOf: path))) ?? .null
    }()

    static func takes(_ grammar: ByteGrammar, _ text: String) -> Bool {
        let automaton = ByteAutomaton(grammar)
        return automaton.isEnd(text.utf8.reduce(automaton.start) { automaton.next($0, $1) })
    }

    @Test func regularExpressionsMatchWhatPythonMatches() throws {
        let cases = Self.file["regexes"]?.arrayValue ?? []
        #expect(cases.count == 44)
        for entry in cases {
            let regex = try #require(entry["regex"]?.stringValue)
            let grammar = try ByteGrammar(regex: regex)
            for (key, wanted) in [("yes", true), ("no", false)] {
                for text in (entry[key]?.arrayValue ?? []).compactMap(\.stringValue) {
                    #expect(Self.takes(grammar, text) == wanted, "\(regex): \(text.debugDescription)")
                }
            }
        }
    }

    @Test func schemasTakeWhatTheyAllow() throws {
        let cases = Self.file["schemas"]?.arrayValue ?? []
        #expect(cases.count == 33)
        for entry in cases {
            let schema = try #require(entry["schema"])
            let grammar = try ByteGrammar(jsonSchema: schema)
            for (key, wanted) in [("yes", true), ("no", false)] {
                for text in (entry[key]?.arrayValue ?? []).compactMap(\.stringValue) {
                    #expect(Self.takes(grammar, text) == wanted, "\(schema.serialized()): \(text.debugDescription)")
                }
            }
        }
    }

    @Test(arguments: [
        ("a(b", "character 4: there is no \")\""), ("a)", "character 2: there is no \"(\""), ("[z-a]", "a range goes"),
        ("a{3,1}", "the smaller number"), (#"\bword"#, #"character 2: \b is not read"#), ("(?=a)", "look-ahead"),
        (#"(a)\1"#, #"\1 is not read"#), ("*a", "nothing before it"), ("a$b", "can never match"),
        ("a^", "can never match"),
        ("(a$)b", "can never match"), ("[", "there is no \"]\""), (#"\x4"#, "hexadecimal"),
        ("(a{100000}){100}", "unfolds"), ("a**", "repeated again"),
        ("a++", "possessive"),
    ])
    func regularExpressionsThatCannotBeRead(regex: String, message: String) {
        let error = #expect(throws: GrammarError.self, "\(regex)") { try ByteGrammar(regex: regex) }
        #expect(error?.description.contains(message) == true, "\(regex): \(error?.description ?? "")")
    }

    @Test(arguments: [
        (#"{"type": "text"}"#, "#/type: got \"text\""), (#"{"type": "number", "maximum": 3}"#, "limits of numbers"),
        (#"{"type": "integer", "multipleOf": 3}"#, "#: \"multipleOf\""), (#"{"not": {"type": "string"}}"#, "\"not\""),
        (#"{"allOf": [{"type": "string"}, {"minLength": 2}]}"#, "#/allOf"), (##"{"$ref": "other.json"}"##, "#/$ref"),
        (##"{"$ref": "#/$defs/none"}"##, "there is no #/$defs/none"), (#"[1]"#, "wanted a schema"),
        ("false", "wanted a schema"),
        (#"{"type": "object", "properties": {"a": {"format": "nine"}}}"#, "#/properties/a/format"),
        (#"{"type": "object", "required": ["a"]}"#, "there is no property \"a\""),
        (#"{"type": "object", "properties": {"a": true}, "required": "a"}"#, "#/required: wanted a list"),
        (#"{"enum": [1, 2], "type": "string"}"#, "no value is of the type string"),
        (#"{"anyOf": [{"type": "string"}], "type": "object"}"#, "\"type\" cannot be followed"),
        (#"{"type": "string", "pattern": "(?!a)"}"#, "#/pattern: character"), (#"{"enum": []}"#, "#/enum"),
        (#"{"type": "integer", "minimum": 4, "maximum": 3}"#, "no number is from 4 to 3"),
        (#"{"type": "array", "minItems": 4, "maxItems": 3}"#, "maxItems is less"),
    ])
    func schemasThatCannotBeFollowed(schema: String, message: String) throws {
        let value = try JSONValue(parsing: schema)
        let error = #expect(throws: GrammarError.self, "\(schema)") { try ByteGrammar(jsonSchema: value) }
        #expect(error?.description.contains(message) == true, "\(schema): \(error?.description ?? "")")
    }

    /// A pattern of a schema may be found anywhere in a text, unless it says where.
    @Test(arguments: [
        ("^yes$|^no", ["yes", "no", "nox"], ["yesx", "xno"]), ("a|^b", ["xa", "ax", "b", "bx"], ["xb"]),
        (#"a\\\\$"#, [#"xa\\"#], [#"a\\x"#]), (#"a\\$"#, ["xa$x"], ["a"]), ("x", ["axb"], ["ab"]),
    ])
    func patternsAreFoundInTexts(pattern: String, yes: [String], no: [String]) throws {
        let grammar = try ByteGrammar(jsonSchema: JSONValue(parsing: #"{"type": "string", "pattern": "\#(pattern)"}"#))
        for text in yes { #expect(Self.takes(grammar, "\"\(text)\""), "\(text)") }
        for text in no { #expect(!Self.takes(grammar, "\"\(text)\""), "\(text)") }
    }

    /// What could hang or trap ends at once.
    @Test func hostileDescriptions() throws {
        for regex in ["(){99999999999}", "(a{0}){99999999999}"] {
            #expect(Self.takes(try ByteGrammar(regex: regex), ""), "\(regex)")
        }
        for regex in [
            "(){0,99999999999}", "a" + String(repeating: "*", count: 100_000), String(repeating: "(", count: 9999),
        ] {
            #expect(throws: GrammarError.self, "\(regex.prefix(20))") { try ByteGrammar(regex: regex) }
        }
        for schema in [
            #"{"type": "integer", "minimum": -9223372036854775808}"#, #"{"type": "string", "pattern": "(^a$)"}"#,
        ] {
            let value = try JSONValue(parsing: schema)
            #expect(throws: GrammarError.self, "\(schema)") { try ByteGrammar(jsonSchema: value) }
        }
    }

    @Test func typesChooseAmongValues() throws {
        let grammar = try ByteGrammar(
            jsonSchema: JSONValue(parsing: #"{"enum": [1, "x", 2.5, null], "type": ["number", "null"]}"#))
        for (text, isTaken) in [("1", true), ("2.5", true), ("null", true), (#""x""#, false)] {
            #expect(Self.takes(grammar, text) == isTaken, "\(text)")
        }
    }

    /// A number may be a whole one however it is written.
    @Test func wholeNumbersAmongValues() throws {
        let grammar = try ByteGrammar(
            jsonSchema: JSONValue(parsing: #"{"enum": [2.0, 2.5, 123456789012345678901], "type": "integer"}"#))
        for (text, isTaken) in [("2.0", true), ("2.5", false), ("123456789012345678901", true)] {
            #expect(Self.takes(grammar, text) == isTaken, "\(text)")
        }
    }

    /// Beside the properties of a schema there are no others of their names, which would take their place.
    @Test(arguments: [
        (#"{"a": 1, "b": "x"}"#, true), (#"{"a": 1, "a": "x"}"#, false), (#"{"a": "x"}"#, false),
        (#"{"ab": "x"}"#, true),
        (#"{"abcd": "x", "abc": "x"}"#, true), (#"{"abe": "x"}"#, false), (#"{"": "x"}"#, true),
        (#"{"é": "x"}"#, false),
        (#"{"\u0061": "x"}"#, false), (#"{"èa": "x", "éa": "x"}"#, true), (#"{"abe": true, "other": "x"}"#, true),
    ])
    func otherPropertiesHaveOtherNames(text: String, isTaken: Bool) throws {
        let schema = #"""
            {"properties": {"a": {"type": "integer"}, "abe": {"type": "boolean"}, "é": {"type": "null"}, "q\"": {"type": "null"}},
             "additionalProperties": {"type": "string"}}
            """#
        #expect(Self.takes(try ByteGrammar(jsonSchema: JSONValue(parsing: schema)), text) == isTaken)
    }

    @Test func namesThatAreTooLongToTellApart() throws {
        let name = String(repeating: "n", count: 257)
        for (others, isRead) in [("true", false), ("false", true)] {
            let schema = #"{"properties": {"\#(name)": true}, "additionalProperties": \#(others)}"#
            let grammar = try? ByteGrammar(jsonSchema: JSONValue(parsing: schema))
            #expect((grammar != nil) == isRead)
        }
    }

    /// Half a pair is no character, and a pair is one.
    @Test(arguments: [
        (
            #"{"type": "string"}"#, [#""\ud83d\ude00""#, #""\uD83D\uDE00x""#, #""\ud7ff\uE000""#, #""\u00e9""#],
            [#""\ud83d""#, #""\ude00""#, #""\ud83dx""#, #""\ude00\ud83d""#, #""\uDbff\u0041""#]
        ),
        (
            #"{"type": "string", "minLength": 2, "maxLength": 2}"#, [#""\u00e9\ud7Ff""#, #""😀😀""#],
            [#""\ud83d\ude00""#, #""😀""#, #""\ud83d\ud83d""#]
        ),
        (#"{"type": "string", "minLength": 2}"#, [#""abc""#], [#""\ud83d\ude00""#]),
    ])
    func charactersByTheirNumbers(schema: String, yes: [String], no: [String]) throws {
        let grammar = try ByteGrammar(jsonSchema: JSONValue(parsing: schema))
        for text in yes { #expect(Self.takes(grammar, text), "\(text)") }
        for text in no { #expect(!Self.takes(grammar, text), "\(text)") }
    }

    /// As RFC 3339 has them: days that there are, and times with their distance from UTC.
    @Test(arguments: [
        (
            "date", ["2024-02-29", "2000-02-29", "2023-02-28", "2023-12-31", "2023-04-30"],
            [
                "2023-02-29", "1900-02-29", "2023-02-30", "2023-04-31", "2023-11-31", "2023-13-01", "2023-00-10",
                "2023-01-00",
            ]
        ),
        ("time", ["23:59:59Z", "00:00:00.25+01:30"], ["12:00:00", "24:00:00Z", "12:60:00Z"]),
        (
            "date-time", ["2024-02-29T12:00:00Z", "2023-10-31T12:00:00-08:00"],
            ["2023-02-29T12:00:00Z", "2023-10-31T12:00:00"]
        ),
    ])
    func datesAndTimes(format: String, yes: [String], no: [String]) throws {
        let grammar = try ByteGrammar(jsonSchema: JSONValue(parsing: #"{"type": "string", "format": "\#(format)"}"#))
        for text in yes { #expect(Self.takes(grammar, "\"\(text)\""), "\(text)") }
        for text in no { #expect(!Self.takes(grammar, "\"\(text)\""), "\(text)") }
    }

    @Test func aSchemaThatRefersToNothingButItselfEnds() throws {
        let grammar = try ByteGrammar(jsonSchema: JSONValue(parsing: ##"{"$ref": "#"}"##))
        #expect(!Self.takes(grammar, "1"))
    }

    /// At each step exactly the tokens may come whose bytes may.
    @Test(arguments: ["qwen2.5", "yuan2", "t5"])
    func tokensMayComeWhereTheirBytesMay(name: String) throws {
        let tokenizer = try Tokenizer.load(folder: try #require(sharedFixtures("tokenizers/\(name)")))
        let constraint = try TokenConstraint(ByteGrammar(regex: #"(yes|no), \d{2}é?"#), tokenizer: tokenizer)
        var (state, written) = (constraint.start, "")
        let automaton = ByteAutomaton(try ByteGrammar(regex: #"(yes|no), \d{2}é?"#))
        let bytes = tokenizer.tokenBytes()
        for step in 0..<12 where !constraint.mayEnd(state) {
            let tokens = constraint.tokens(after: state)
            let place = written.utf8.reduce(automaton.start) { automaton.next($0, $1) }
            let wanted = bytes.filter { $0.bytes.reduce(place) { automaton.next($0, $1) } >= 0 }
            #expect(Set(tokens) == Set(wanted.map(\.id)), "step \(step)")
            let token = try #require(tokens.min(by: { constraint.next(state, $0) > constraint.next(state, $1) }))
            written += String(decoding: try #require(bytes.first { $0.id == token }?.bytes), as: UTF8.self)
            state = constraint.next(state, token)
        }
        #expect(constraint.mayEnd(state))
        #expect(written.wholeMatch(of: /(yes|no), \d{2}é?/) != nil, "\(written)")
    }
}
