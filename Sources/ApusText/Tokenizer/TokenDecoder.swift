/// A step that turns the spellings of tokens into text.
enum TokenDecoder: Sendable {
    /// Spellings in the byte alphabet become bytes, joined.
    case byteLevel
    /// Runs of `<0x00>`… become the text they encode.
    case byteFallback
    /// All tokens become one.
    case fuse
    case replace(SplitMatcher, [UInt8])
    /// Removes up to `start` of a scalar from the front of each token and up to `stop` from its end.
    case strip(scalar: [UInt8], start: Int, stop: Int)
    /// Tokens with the prefix go on with the word before; others get a space before them.
    case wordPiece(prefix: [UInt8], cleansUp: Bool)
    /// A scalar becomes a space, and in the first token nothing where `dropsFirst`.
    case metaspace([UInt8], dropsFirst: Bool)
    /// The end of a word becomes a space, and in the last token nothing.
    case bytePair(suffix: [UInt8])
    /// Of equal neighbours one stays, padding goes, and a delimiter becomes a space (connectionist temporal
    /// classification).
    case ctc(padding: [UInt8], delimiter: [UInt8], cleansUp: Bool)
}

/// The bytes of tokens on their way through the decoders, step by step, so that whole and streamed texts take one path.
struct DecoderPipeline {
    private enum Stage {
        case byteFallback(pending: [UInt8])
        case replace(SplitMatcher, [UInt8])
        case strip(scalar: [UInt8], start: Int, stop: Int)
        /// After tokens are joined: removes up to `remaining` of a scalar from the front of the text.
        case stripText(scalar: [UInt8], remaining: Int)
        case byteLevel
        case wordPiece(WordPieceDecoder)
        case metaspace([UInt8], replaces: [UInt8])
        case bytePair(suffix: [UInt8], pending: [UInt8]?)
        case ctc(padding: [UInt8], delimiter: [UInt8], cleansUp: Bool, last: [UInt8]?)
        /// Holds back all tokens for a step that needs them as one.
        case joined([UInt8])
    }

    private var stages: [Stage] = []
    /// Text without a decoder has a space between its tokens.
    private let separator: [UInt8]
    private var isFirst = true

    init(_ decoders: [TokenDecoder]?) {
        separator = decoders == nil ? [0x20] : []
        // Whether the next step sees one token only, and whether that token has still to be put together.
        var (isJoined, isApart) = (false, false)
        for decoder in decoders ?? [] {
            switch decoder {
            case .fuse:
                if !isJoined { (isJoined, isApart) = (true, true) }
                continue
            case .strip(let scalar, let start, 0) where isApart:
                stages.append(.stripText(scalar: scalar, remaining: start))
                continue
            default: break
            }
            if isApart { stages.append(.joined([])) }
            isApart = false
            switch decoder {
            case .fuse: break
            case .byteLevel:
                stages.append(.byteLevel)
                (isJoined, isApart) = (true, true)
            case .byteFallback: stages.append(.byteFallback(pending: []))
            case .replace(let matcher, let content): stages.append(.replace(matcher, content))
            case .strip(let scalar, let start, let stop):
                stages.append(.strip(scalar: scalar, start: start, stop: stop))
            case .wordPiece(let prefix, let cleansUp):
                stages.append(.wordPiece(WordPieceDecoder(prefix: prefix, cleansUp: cleansUp)))
            case .metaspace(let scalar, let dropsFirst):
                stages.append(.metaspace(scalar, replaces: dropsFirst ? [] : [0x20]))
            case .bytePair(let suffix): stages.append(.bytePair(suffix: suffix, pending: nil))
            case .ctc(let padding, let delimiter, let cleansUp):
                stages.append(.ctc(padding: padding, delimiter: delimiter, cleansUp: cleansUp, last: nil))
            }
        }
    }

    /// Appends what a token adds to the text.
    mutating func push(_ token: ArraySlice<UInt8>, into text: inout [UInt8]) {
        if stages.count == 1, case .byteLevel = stages[0] {
            if !ByteAlphabet.append(bytesSpelledBy: token, to: &text) { text += token }
        } else if stages.count == 1, case .wordPiece(var decoder) = stages[0] {
            decoder.append(token, to: &text)
            stages[0] = .wordPiece(decoder)
        } else {
            push(Array(token), from: 0, into: &text)
        }
    }

    /// Appends what the steps have held back.
    mutating func finish(into text: inout [UInt8]) {
        for index in stages.indices {
            switch stages[index] {
            case .byteFallback(let pending) where !pending.isEmpty:
                stages[index] = .byteFallback(pending: [])
                for token in Self.decodeFallback(pending) { push(token, from: index + 1, into: &text) }
            case .bytePair(let suffix, let pending?):
                stages[index] = .bytePair(suffix: suffix, pending: nil)
                push(Self.replace(suffix, in: pending, with: []), from: index + 1, into: &text)
            case .joined(let collected) where !collected.isEmpty:
                stages[index] = .joined([])
                push(Array(String(decoding: collected, as: UTF8.self).utf8), from: index + 1, into: &text)
            default: continue
            }
        }
    }

    private mutating func push(_ token: [UInt8], from first: Int, into text: inout [UInt8]) {
        var token = token
        for index in first..<stages.count {
            switch stages[index] {
            case .byteFallback(let pending):
                if let byte = Self.fallbackByte(token) {
                    stages[index] = .byteFallback(pending: pending + [byte])
                    return
                }
                guard !pending.isEmpty else { continue }
                stages[index] = .byteFallback(pending: [])
                for token in Self.decodeFallback(pending) { push(token, from: index + 1, into: &text) }
            case .replace(.literal(let literal), let content):
                token = Self.replace(literal, in: token, with: content)
            case .replace(let matcher, let content):
                token = Self.replace(matcher, in: token, with: content)
            case .strip(let scalar, let start, let stop):
                token = Self.strip(token, scalar, start: start, stop: stop)
            case .stripText(let scalar, var remaining):
                guard remaining > 0 else { continue }
                while remaining > 0, !token.isEmpty {
                    guard token.starts(with: scalar) else {
                        remaining = 0
                        break
                    }
                    token.removeFirst(scalar.count)
                    remaining -= 1
                }
                stages[index] = .stripText(scalar: scalar, remaining: remaining)
            case .byteLevel:
                var bytes: [UInt8] = []
                if ByteAlphabet.append(bytesSpelledBy: token[...], to: &bytes) { token = bytes }
            case .wordPiece(var decoder):
                decoder.decode(&token)
                stages[index] = .wordPiece(decoder)
            case .metaspace(let scalar, let space):
                token = Self.replace(scalar, in: token, with: space)
                if space.isEmpty { stages[index] = .metaspace(scalar, replaces: [0x20]) }
            case .bytePair(let suffix, let pending):
                stages[index] = .bytePair(suffix: suffix, pending: token)
                guard let pending else { return }
                token = Self.replace(suffix, in: pending, with: [0x20])
            case .ctc(let padding, let delimiter, let cleansUp, let last):
                if token == last { return }
                stages[index] = .ctc(padding: padding, delimiter: delimiter, cleansUp: cleansUp, last: token)
                token = Self.replace(padding, in: token, with: [])
                if cleansUp {
                    WordPieceDecoder.cleanUp(&token)
                    token = Self.replace(delimiter, in: token, with: [0x20])
                }
                if token.isEmpty { return }
            case .joined(var collected):
                // The array grows in place only while nothing else holds it.
                stages[index] = .joined([])
                collected += token
                stages[index] = .joined(collected)
                return
            }
        }
        if !isFirst { text += separator }
        isFirst = false
        text += token
    }

    /// Replaces a text; the empty one stands between any two scalars, and at both ends.
    static func replace(_ found: [UInt8], in token: [UInt8], with content: [UInt8]) -> [UInt8] {
        guard let lead = found.first else {
            return token.flatMap { $0 & 0xC0 != 0x80 ? content + [$0] : [$0] } + content
        }
        guard token.contains(lead) else { return token }
        var result: [UInt8] = []
        result.reserveCapacity(token.count + content.count)
        var position = 0
        while position < token.count {
            if token[position] == lead, token[position...].starts(with: found) {
                result += content
                position += found.count
            } else {
                result.append(token[position])
                position += 1
            }
        }
        return result
    }

    private static func replace(_ matcher: SplitMatcher, in token: [UInt8], with content: [UInt8]) -> [UInt8] {
        var stretches: [Stretch] = []
        token.withUnsafeBufferPointer { matcher.appendStretches(of: $0, to: &stretches) }
        return stretches.flatMap { $0.isMatch ? content : Array(token[$0.start..<$0.end]) }
    }

    private static func strip(_ token: [UInt8], _ scalar: [UInt8], start: Int, stop: Int) -> [UInt8] {
        var rest = token[...]
        for _ in 0..<min(start, token.count) where rest.starts(with: scalar) { rest = rest.dropFirst(scalar.count) }
        for _ in 0..<min(stop, token.count) where rest.reversed().starts(with: scalar.reversed()) {
            rest = rest.dropLast(scalar.count)
        }
        return Array(rest)
    }

    static func fallbackByte(_ token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: Array("<0x".utf8)), token[5] == UInt8(ascii: ">") else { return nil }
        // Rust's parser takes a plus sign as well.
        return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
    }

    /// The text that bytes encode, or U+FFFD for each where they are not valid UTF-8 as a whole.
    private static func decodeFallback(_ bytes: [UInt8]) -> [[UInt8]] {
        if bytes.isEmpty { return [] }
        if String(validating: bytes, as: UTF8.self) != nil { return [bytes] }
        return bytes.map { _ in Array("\u{FFFD}".utf8) }
    }
}
