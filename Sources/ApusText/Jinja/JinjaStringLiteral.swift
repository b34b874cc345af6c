/// The escapes of a string in a template, read as Python's `unicode-escape` codec reads them.
enum JinjaStringLiteral {
    static func unescaped(_ bytes: [UInt8], line: Int) throws -> JinjaText {
        guard bytes.contains(UInt8(ascii: "\\")) else { return JinjaText(bytes) }
        var result = String.UnicodeScalarView()
        var scalars = Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)[...]
        while let scalar = scalars.popFirst() {
            guard scalar == "\\" else {
                result.append(scalar)
                continue
            }
            guard let escape = scalars.popFirst() else { break }
            switch escape {
            case "\n": break
            case "\\", "'", "\"": result.append(escape)
            case "a": result.append("\u{07}")
            case "b": result.append("\u{08}")
            case "f": result.append("\u{0C}")
            case "n": result.append("\n")
            case "r": result.append("\r")
            case "t": result.append("\t")
            case "v": result.append("\u{0B}")
            case "0"..."7":
                var digits = String(escape)
                while digits.count < 3, let next = scalars.first, ("0"..."7").contains(next) {
                    digits.unicodeScalars.append(next)
                    scalars.removeFirst()
                }
                result.append(try codePoint(digits, radix: 8, line: line))
            case "x": result.append(try hexadecimal(&scalars, count: 2, line: line))
            case "u": result.append(try hexadecimal(&scalars, count: 4, line: line))
            case "U": result.append(try hexadecimal(&scalars, count: 8, line: line))
            case "N":
                throw JinjaError(.unsupported, "\\N{name} in a string is not supported, use \\u", line: line)
            case let other where other.value > 0x7F:
                // jinja2 turns other characters into escapes first; this one's backslash is then taken for text.
                result.append(contentsOf: pythonEscape(other).unicodeScalars)
            default:
                result.append("\\")
                result.append(escape)
            }
        }
        return JinjaText(scalars: result)
    }

    private static func pythonEscape(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
        return "\\" + letter + String(repeating: "0", count: width - digits.count) + digits
    }

    private static func hexadecimal(
        _ scalars: inout ArraySlice<Unicode.Scalar>, count: Int, line: Int
    ) throws -> Unicode.Scalar {
        let digits = scalars.prefix(count)
        guard digits.count == count, digits.allSatisfy({ $0.isASCII && $0.properties.isHexDigit }) else {
            throw JinjaError(.syntax, "an escape needs \(count) hexadecimal digits", line: line)
        }
        scalars = scalars.dropFirst(count)
        return try codePoint(String(String.UnicodeScalarView(digits)), radix: 16, line: line)
    }

    private static func codePoint(_ digits: String, radix: Int, line: Int) throws -> Unicode.Scalar {
        guard let code = UInt32(digits, radix: radix), let scalar = Unicode.Scalar(code) else {
            throw JinjaError(.syntax, "'\(digits)' is not a code point", line: line)
        }
        return scalar
    }
}
