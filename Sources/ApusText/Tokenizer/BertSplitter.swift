/// Cuts text as BERT does: at white space, which goes, and around every punctuation character, which stays.
enum BertSplitter {
    /// Appends the pieces of a text, none of which is empty.
    ///
    /// - Parameter offset: What to add to every position.
    static func appendPieces(of text: UnsafeBufferPointer<UInt8>, offset: Int, to pieces: inout [Stretch]) {
        guard let bytes = text.baseAddress else { return }
        let table = EncoderClass.table
        let boundary: EncoderClass = [.space, .punctuation]
        var start = 0
        var position = 0
        while position < text.count {
            var next = position + 1
            var raw = table.values[Int(bytes[position])]
            if bytes[position] >= 0x80 {
                let (scalar, end) = decodeScalar(bytes, position)
                raw = table[scalar]
                next = end
            }
            let encoderClass = EncoderClass(rawValue: raw)
            if !encoderClass.isDisjoint(with: boundary) {
                if start < position {
                    pieces.append(Stretch(start: offset + start, end: offset + position, isMatch: false))
                }
                if encoderClass.contains(.punctuation) {
                    pieces.append(Stretch(start: offset + position, end: offset + next, isMatch: true))
                }
                start = next
            }
            position = next
        }
        if start < text.count {
            pieces.append(Stretch(start: offset + start, end: offset + text.count, isMatch: false))
        }
    }
}
