import Testing

@testable import ApusJSON

struct JSONValueTests {
    @Test func keepsTheOrderOfKeysAndAllKindsOfValues() throws {
        let text = #"{"z": 1, "a": [true, null, -2.5, "é\n\"", {}], "m": {"k": 1e-07}}"#
        let value = try JSONValue(parsing: text)
        #expect(value.objectValue?.keys == ["z", "a", "m"])
        #expect(value["a"]?[2]?.doubleValue == -2.5)
        #expect(value.serialized() == text)
        #expect(value.serialized(sortedKeys: true).hasPrefix(#"{"a": [true"#))
    }

    @Test func escapesAndSurrogatesRoundTrip() throws {
        let value = try JSONValue(parsing: #""\ud83d\ude00 \u00e9 \ud800 \/""#)
        #expect(value.stringValue == "😀 é \u{FFFD} /")
        #expect(JSONValue.string("😀").serialized(escapeNonASCII: true) == #""\ud83d\ude00""#)
    }

    @Test func numbersPrintAsPythonPrintsThem() {
        let expected: [(Double, String)] = [
            (1, "1.0"), (0.1, "0.1"), (1e-5, "1e-05"), (1e16, "1e+16"),
            (123_456_789_012_345_680, "1.2345678901234568e+17"),
            (9_007_199_254_740_994, "9007199254740994.0"), (1.5e300, "1.5e+300"), (0.0001, "0.0001"), (-0.0, "-0.0"),
        ]
        for (number, text) in expected { #expect(JSONValue.double(number).serialized() == text) }
    }

    /// What neither 64 bits nor a double holds stays as it is written.
    @Test(
        arguments: [
            ("18446744073709551615", 0x1p64), ("-9223372036854775809", -0x1p63),
            ("123456789012345678901234567890", 1.2345678901234568e29), ("1e400", .infinity), ("-1E+400", -.infinity),
        ] as [(String, Double)])
    func numbersThatAreTooLarge(text: String, nearest: Double) throws {
        let value = try JSONValue(parsing: "[\(text)]")
        #expect(value[0] == .number(text) && value.serialized() == "[\(text)]")
        #expect(value[0]?.doubleValue == nearest && value[0]?.intValue == nil)
    }

    @Test func theLargestNumbersAreNumbers() throws {
        #expect(try JSONValue(parsing: "9223372036854775807") == .int(.max))
        #expect(try JSONValue(parsing: "-9223372036854775808") == .int(.min))
        #expect(try JSONValue(parsing: "1e308") == .double(1e308))
        #expect(try JSONValue(parsing: "Infinity") == .double(.infinity))
    }

    @Test func manyKeysStayReachable() {
        var object = JSONObject()
        for index in 0..<100 { object["k\(index)"] = .int(index) }
        object["k3"] = nil
        #expect(object.count == 99)
        #expect(object["k3"] == nil)
        #expect((0..<100).filter { $0 != 3 }.allSatisfy { object["k\($0)"] == .int($0) })
    }

    @Test(arguments: [
        ("{\"a\": 1,\n \"a\" 2}", 2, 6), ("[1, 2", 1, 6), ("{\"a\": tru}", 1, 10), ("[01]", 1, 2), ("", 1, 1),
        ("\"\u{1}\"", 1, 2), ("[1] x", 1, 5), (#""\x""#, 1, 3),
    ])
    func namesThePlaceOfAFault(text: String, line: Int, column: Int) {
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
        #expect(error?.line == line)
        #expect(error?.column == column)
    }

    @Test func refusesDuplicatesAndDepthWhenAsked() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: #"{"a":1,"a":2}"#, duplicateKeys: .refuse) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "[", count: 100_000)) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    }
}
