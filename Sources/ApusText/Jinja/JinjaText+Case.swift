extension JinjaText {
    func uppercased() -> JinjaText {
        if isASCII { return mapASCII { $0 &- 0x61 < 26 ? $0 - 32 : $0 } }
        return mapScalars { $0.properties.uppercaseMapping }
    }

    func lowercased() -> JinjaText {
        if isASCII { return mapASCII { $0 &- 0x41 < 26 ? $0 + 32 : $0 } }
        let scalars = Array(scalars)
        var result = ""
        for index in scalars.indices {
            result.unicodeScalars.append(contentsOf: Self.lowercase(scalars, index).unicodeScalars)
        }
        return JinjaText(Array(result.utf8), isMarkup: isMarkup)
    }

    /// `str.casefold`, as the lower case of the upper case.
    func casefolded() -> JinjaText {
        if isASCII { return lowercased() }
        return mapScalars { scalar in
            scalar.properties.uppercaseMapping.unicodeScalars.map(\.properties.lowercaseMapping).joined()
        }
    }

    /// The lower case of one code point in its surroundings: only capital sigma depends on them.
    private static func lowercase(_ scalars: [Unicode.Scalar], _ index: Int) -> String {
        guard scalars[index] == "\u{3A3}" else { return scalars[index].properties.lowercaseMapping }
        func isCased(_ neighbours: some Sequence<Unicode.Scalar>) -> Bool {
            neighbours.first { !$0.properties.isCaseIgnorable }?.properties.isCased ?? false
        }
        let isFinal = isCased(scalars[..<index].reversed()) && !isCased(scalars[(index + 1)...])
        return isFinal ? "\u{3C2}" : "\u{3C3}"
    }

    /// `str.capitalize`: the first code point in title case, the rest in lower case.
    func capitalized() -> JinjaText {
        let scalars = Array(scalars)
        var result = ""
        for index in scalars.indices {
            let mapped = index == 0 ? scalars[0].properties.titlecaseMapping : Self.lowercase(scalars, index)
            result.unicodeScalars.append(contentsOf: mapped.unicodeScalars)
        }
        return JinjaText(Array(result.utf8), isMarkup: isMarkup)
    }

    /// `str.title`: the first cased code point of each run in title case.
    func titlecased() -> JinjaText {
        let scalars = Array(scalars)
        var result = ""
        var previousIsCased = false
        for index in scalars.indices {
            let mapped = previousIsCased ? Self.lowercase(scalars, index) : scalars[index].properties.titlecaseMapping
            result.unicodeScalars.append(contentsOf: mapped.unicodeScalars)
            previousIsCased = scalars[index].properties.isCased
        }
        return JinjaText(Array(result.utf8), isMarkup: isMarkup)
    }

    func caseSwapped() -> JinjaText {
        let scalars = Array(scalars)
        var result = ""
        for index in scalars.indices {
            let properties = scalars[index].properties
            let mapped =
                properties.isUppercase
                ? Self.lowercase(scalars, index)
                : properties.isLowercase ? properties.uppercaseMapping : String(scalars[index])
            result.unicodeScalars.append(contentsOf: mapped.unicodeScalars)
        }
        return JinjaText(Array(result.utf8), isMarkup: isMarkup)
    }

    private func mapASCII(_ transform: (UInt8) -> UInt8) -> JinjaText {
        JinjaText(bytes.map(transform), isMarkup: isMarkup)
    }

    private func mapScalars(_ transform: (Unicode.Scalar) -> String) -> JinjaText {
        var result = ""
        for scalar in scalars { result.unicodeScalars.append(contentsOf: transform(scalar).unicodeScalars) }
        return JinjaText(Array(result.utf8), isMarkup: isMarkup)
    }

    // MARK: - Predicates

    /// `str.islower`, `str.isupper`: some cased code point, and none of the other case.
    var isLowercase: Bool {
        !scalars.contains { $0.properties.isUppercase || PythonCharacter.isTitlecase($0) }
            && scalars.contains { $0.properties.isLowercase }
    }

    var isUppercase: Bool {
        !scalars.contains { $0.properties.isLowercase || PythonCharacter.isTitlecase($0) }
            && scalars.contains { $0.properties.isUppercase }
    }

    var isTitlecase: Bool {
        var (found, previousIsCased) = (false, false)
        for scalar in scalars {
            if scalar.properties.isUppercase || PythonCharacter.isTitlecase(scalar) {
                if previousIsCased { return false }
                (found, previousIsCased) = (true, true)
            } else if scalar.properties.isLowercase {
                if !previousIsCased { return false }
                found = true
            } else {
                previousIsCased = false
            }
        }
        return found
    }

    /// True when there is a code point and all satisfy `predicate`.
    func isNonEmpty(allSatisfying predicate: (Unicode.Scalar) -> Bool) -> Bool {
        !isEmpty && scalars.allSatisfy(predicate)
    }
}
