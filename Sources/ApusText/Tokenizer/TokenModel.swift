/// The stage that turns pieces of text into ids.
///
/// Byte-pair encoding and WordPiece are there; Unigram is another.
protocol TokenModel: Sendable {
    var vocabulary: Vocabulary { get }

    /// Appends the ids of the pieces of `text`, none of which is empty.
    func encode(
        _ text: UnsafeBufferPointer<UInt8>, pieces: [Stretch], into ids: inout [Int32], scratch: EncodingScratch)
}
