import COniguruma
import Foundation
import Synchronization

/// A regular expression compiled as PyPI `tokenizers` compiles it: Oniguruma, UTF-8, Ruby syntax.
///
/// The installed Oniguruma may know another Unicode version than the one in `tokenizers`, so general categories, `\w`
/// and `\d` are redirected to properties made from our own tables; scripts and long names of properties are not.
/// Matching is thread-safe.
final class OnigurumaRegex: @unchecked Sendable {
    private let regex: OnigRegex

    /// - Throws: `OnigurumaRegex.CompileError` where the pattern is not valid.
    init(_ pattern: String) throws {
        var compiled: OnigRegex?
        var errorInfo = OnigErrorInfo()
        let source = Array(OnigurumaProperties.redirect(pattern).utf8)
        // onig_new fills process-wide tables.
        let status = OnigurumaProperties.lock.withLock { isReady in
            if !isReady {
                OnigurumaProperties.define()
                isReady = true
            }
            return source.withUnsafeBufferPointer { bytes in
                onig_new(
                    &compiled, bytes.baseAddress, bytes.baseAddress.map { $0 + bytes.count },
                    OnigOptionType(ONIG_OPTION_NONE), apus_onig_utf8(), apus_onig_ruby(), &errorInfo)
            }
        }
        guard status == ONIG_NORMAL, let compiled else {
            var text = [UInt8](repeating: 0, count: Int(ONIG_MAX_ERROR_MESSAGE_LEN))
            let length = Int(apus_onig_error_text(&text, status, &errorInfo))
            throw CompileError(reason: String(decoding: text.prefix(max(0, length)), as: UTF8.self))
        }
        regex = compiled
    }

    deinit { onig_free(regex) }

    struct CompileError: Error {
        let reason: String
    }

    /// Calls `body` with start and end of every match, empty ones included, from left to right.
    ///
    /// As the Rust binding of `tokenizers` does, an empty match right after another match is passed over. A pattern that
    /// backtracks beyond Oniguruma's limit finds no more matches.
    func forEachMatch(in text: UnsafeBufferPointer<UInt8>, _ body: (Int, Int) -> Void) {
        guard let base = text.baseAddress, let region = onig_region_new() else { return }
        defer { onig_region_free(region, 1) }
        let end = base + text.count
        var position = 0
        var lastMatchEnd = -1
        while position <= text.count {
            let status = onig_search(regex, base, end, base + position, end, region, OnigOptionType(ONIG_OPTION_NONE))
            guard status >= 0, let starts = region.pointee.beg, let ends = region.pointee.end else { return }
            let (matchStart, matchEnd) = (Int(starts[0]), Int(ends[0]))
            if matchStart == matchEnd {
                position = matchEnd + (matchEnd < text.count ? utf8Length(base[matchEnd]) : 1)
                if lastMatchEnd == matchEnd { continue }
            } else {
                position = matchEnd
            }
            lastMatchEnd = matchEnd
            body(matchStart, matchEnd)
        }
    }
}

/// The Unicode properties that patterns are redirected to.
private enum OnigurumaProperties {
    /// Guards compiling; holds whether the properties are defined.
    static let lock = Mutex(false)

    /// Oniguruma takes 20 user-defined properties; these are the ones that grew with the versions of Unicode.
    private static let categories: [String: Set<GeneralCategory>] = [
        "L": [.lu, .ll, .lt, .lm, .lo], "Lu": [.lu], "Ll": [.ll], "Lm": [.lm], "Lo": [.lo],
        "M": [.mn, .mc, .me], "Mn": [.mn], "Mc": [.mc],
        "N": [.nd, .nl, .no], "Nd": [.nd], "No": [.no],
        "P": [.pc, .pd, .ps, .pe, .pi, .pf, .po], "Po": [.po],
        "S": [.sm, .sc, .sk, .so], "So": [.so], "Sm": [.sm],
    ]

    private static func name(_ category: String) -> String { "apus\(category.lowercased())" }

    static func define() {
        for (category, members) in categories { define(name(category)) { members.contains($0) } }
        define(
            name("w"),
            adding: [
                0xB2...0xB3, 0xB9...0xB9, 0xBC...0xBE, 0x24B6...0x24E9, 0x1F130...0x1F149,
                0x1F150...0x1F169, 0x1F170...0x1F189,
            ]
        ) {
            $0.scalarClass.contains(.word)
        }
    }

    private static func define(
        _ name: String, adding extra: [ClosedRange<UInt32>] = [], _ isMember: (GeneralCategory) -> Bool
    ) {
        var ranges = extra
        for (index, run) in generalCategoryRuns.enumerated() {
            guard let category = GeneralCategory(rawValue: UInt8(run & 31)), isMember(category) else { continue }
            let next = index + 1 < generalCategoryRuns.count ? generalCategoryRuns[index + 1] >> 5 : 0x110000
            ranges.append(run >> 5...next - 1)
        }
        ranges.sort { $0.lowerBound < $1.lowerBound }
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges {
            if let last = merged.last, last.upperBound + 1 == range.lowerBound {
                merged[merged.count - 1] = last.lowerBound...range.upperBound
            } else {
                merged.append(range)
            }
        }
        // Oniguruma keeps the pointer.
        let list = UnsafeMutablePointer<OnigCodePoint>.allocate(capacity: merged.count * 2 + 1)
        list.initialize(to: OnigCodePoint(merged.count))
        for (index, range) in merged.enumerated() {
            (list + 2 * index + 1).initialize(to: range.lowerBound)
            (list + 2 * index + 2).initialize(to: range.upperBound)
        }
        onig_unicode_define_user_property(name, list)
    }

    /// The pattern with `\p{L}`, `\P{Lu}`, `\w`, `\d` … replaced by our properties.
    static func redirect(_ pattern: String) -> String {
        var result = ""
        var rest = Substring(pattern)
        while let backslash = rest.firstIndex(of: "\\") {
            result += rest[..<backslash]
            rest = rest[rest.index(after: backslash)...]
            guard let escape = rest.first else {
                result += "\\"
                break
            }
            rest.removeFirst()
            switch escape {
            case "w": result += "\\p{\(name("w"))}"
            case "W": result += "\\P{\(name("w"))}"
            case "d": result += "\\p{\(name("Nd"))}"
            case "D": result += "\\P{\(name("Nd"))}"
            case "p", "P":
                guard rest.first == "{", let close = rest.firstIndex(of: "}") else {
                    result += "\\\(escape)"
                    continue
                }
                var property = String(rest[rest.index(after: rest.startIndex)..<close])
                rest = rest[rest.index(after: close)...]
                let isNegated = property.hasPrefix("^")
                if isNegated { property.removeFirst() }
                let known = categories.keys.first { $0.lowercased() == property.lowercased() }
                result += "\\\(escape){\(isNegated ? "^" : "")\(known.map(name) ?? property)}"
            default:
                result += "\\\(escape)"
            }
        }
        return result + rest
    }
}
