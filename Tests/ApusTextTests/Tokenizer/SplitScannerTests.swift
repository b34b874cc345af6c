import Testing

@testable import ApusText

/// The hand-written scanners against Oniguruma on the patterns that they stand for.
@Suite struct SplitScannerTests {
    static let patterns = [
        GPT2Scanner.pattern, CL100KScanner.qwen2Pattern, CL100KScanner.qwen35Pattern, CL100KScanner.llama3Pattern,
        O200KScanner.gpt4oPattern, O200KScanner.tekkenPattern,
    ]

    @Test(arguments: patterns)
    func agreesWithOniguruma(_ pattern: String) throws {
        let scanner = try SplitMatcher(pattern: pattern, source: "a test")
        if case .regex = scanner { Issue.record("the pattern has no scanner") }
        let regex = SplitMatcher.regex(try OnigurumaRegex(pattern))
        var texts = RandomTexts(seed: 7)
        for _ in 0..<1500 {
            let text = texts.next()
            #expect(split(text, scanner) == split(text, regex), "\(text.debugDescription)")
        }
    }

    @Test(arguments: patterns)
    func takesEveryScalarAsOnigurumaDoes(_ pattern: String) throws {
        let scanner = try SplitMatcher(pattern: pattern, source: "a test")
        let regex = SplitMatcher.regex(try OnigurumaRegex(pattern))
        // All scalars where most scripts are, then every 7th.
        var value: UInt32 = 0
        while value < 0x32400 {
            var text = ""
            for _ in 0..<32 {
                if let scalar = Unicode.Scalar(value) { text += "a\(scalar)A\(scalar)1 \(scalar)\(scalar)!\(scalar)\n" }
                value += value < 0x3100 ? 1 : 7
            }
            #expect(split(text, scanner) == split(text, regex), "near U+\(String(value, radix: 16))")
        }
    }

    private func split(_ text: String, _ matcher: SplitMatcher) -> [Int] {
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            var stretches: [Stretch] = []
            matcher.appendStretches(of: bytes, to: &stretches)
            return stretches.map(\.end)
        }
    }
}

@Suite struct OnigurumaRegexTests {
    @Test func redirectsPropertiesToOwnTables() throws {
        // U+31350 came with Unicode 15, U+10D69 with 16.
        #expect(try matches(#"\p{L}+"#, "a\u{31350}b1") == ["a\u{31350}b"])
        #expect(try matches(#"\p{Lo}"#, "\u{31350}") == ["\u{31350}"])
        #expect(try matches(#"[\P{L}]+"#, "a12b") == ["12"])
        #expect(try matches(#"\p{^L}+"#, "a12b") == ["12"])
        #expect(try matches(#"[^\w\s]+"#, "a_1 ,;b") == [",;"])
        #expect(try matches(#"\\p{1}"#, "a\\p") == ["\\p"])
        #expect(try matches(#"\p{Han}+|\d{1,3}"#, "漢字1234") == ["漢字", "123", "4"])
    }

    @Test func findsEmptyMatchesAsTheRustBindingDoes() throws {
        #expect(try matches("x*", "axxé") == ["", "xx", ""])
    }

    @Test func refusesBrokenPatterns() {
        #expect(throws: OnigurumaRegex.CompileError.self) { try OnigurumaRegex("(a") }
        #expect(throws: OnigurumaRegex.CompileError.self) { try OnigurumaRegex(#"\p{NoSuchThing}"#) }
    }

    private func matches(_ pattern: String, _ text: String) throws -> [String] {
        let regex = try OnigurumaRegex(pattern)
        let bytes = Array(text.utf8)
        var found: [String] = []
        bytes.withUnsafeBufferPointer { buffer in
            regex.forEachMatch(in: buffer) { found.append(String(decoding: bytes[$0..<$1], as: UTF8.self)) }
        }
        return found
    }
}
