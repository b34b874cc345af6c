/// The split of GPT-2.
///
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
struct GPT2Scanner: SplitScanner {
    static let pattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    @inline(__always)
    func matchEnd(in text: ClassifiedText, from start: Int) -> Int {
        let byte = text.bytes[start]
        if byte == UInt8(ascii: "'"), let end = contractionEnd(in: text, from: start) { return end }
        var (scalarClass, next) = text.scalar(at: start)
        if byte == UInt8(ascii: " "), next < text.end {
            let following = text.scalar(at: next)
            if !following.scalarClass.contains(.space) { (scalarClass, next) = following }
        }
        if scalarClass.contains(.letter) { return text.run(of: .letter, from: next) }
        if scalarClass.contains(.number) { return text.run(of: .number, from: next) }
        if scalarClass.contains(.space) { return text.whitespaceEnd(from: start) }
        return text.run(without: [.space, .letter, .number], from: next)
    }

    @inline(__always)
    private func contractionEnd(in text: ClassifiedText, from start: Int) -> Int? {
        guard start + 1 < text.end else { return nil }
        switch text.bytes[start + 1] {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
            return start + 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"):
            return start + 2 < text.end && text.bytes[start + 2] == UInt8(ascii: "e") ? start + 3 : nil
        case UInt8(ascii: "l"):
            return start + 2 < text.end && text.bytes[start + 2] == UInt8(ascii: "l") ? start + 3 : nil
        default:
            return nil
        }
    }
}
