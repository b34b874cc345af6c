/// A token that is matched in the text itself, before the text is split.
public struct AddedToken: Sendable, Equatable {
    public var content: String
    /// Whether `decode` may skip it.
    public var isSpecial: Bool
    /// Whether it is looked for in the normalised text, in its normalised form.
    package var isNormalized: Bool
    /// Whether it only counts where no word character stands beside it.
    package var isSingleWord: Bool
    /// Whether it takes the white space on its left along.
    package var stripsLeft: Bool
    /// Whether it takes the white space on its right along.
    package var stripsRight: Bool

    package init(
        _ content: String, isSpecial: Bool, isNormalized: Bool? = nil, isSingleWord: Bool = false,
        stripsLeft: Bool = false, stripsRight: Bool = false
    ) {
        self.content = content
        self.isSpecial = isSpecial
        self.isNormalized = isNormalized ?? !isSpecial
        self.isSingleWord = isSingleWord
        self.stripsLeft = stripsLeft
        self.stripsRight = stripsRight
    }
}
