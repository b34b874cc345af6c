/// What the splitters of text ask about a scalar, as bits.
struct ScalarClass: OptionSet {
    let rawValue: UInt8

    /// Letters, `\p{L}`.
    static let letter = ScalarClass(rawValue: 1)
    /// Numbers, `\p{N}`.
    static let number = ScalarClass(rawValue: 2)
    /// The White_Space property, `\s`.
    static let space = ScalarClass(rawValue: 4)
    /// Marks, `\p{M}`.
    static let mark = ScalarClass(rawValue: 8)
    /// Upper and title case, `\p{Lu}` and `\p{Lt}`.
    static let upper = ScalarClass(rawValue: 16)
    /// Lower case, `\p{Ll}`.
    static let lower = ScalarClass(rawValue: 32)
    /// Word characters as Rust's `regex` sees them, `\w`.
    static let word = ScalarClass(rawValue: 64)
    /// What `char::is_numeric` of Rust says, which knows a newer Unicode than `\p{N}`.
    static let numeric = ScalarClass(rawValue: 128)

    static let table = ScalarTable { values in
        for (index, run) in generalCategoryRuns.enumerated() {
            let end = index + 1 < generalCategoryRuns.count ? Int(generalCategoryRuns[index + 1] >> 5) : 0x110000
            guard let category = GeneralCategory(rawValue: UInt8(run & 31)) else { continue }
            values[Int(run >> 5)..<end].update(repeating: category.scalarClass.rawValue)
        }
        func add(_ scalarClass: ScalarClass, _ ranges: ClosedRange<Int>...) {
            for range in ranges { for scalar in range { values[scalar] |= scalarClass.rawValue } }
        }
        add(.space, 0x09...0x0D, 0x20...0x20, 0x85...0x85, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A)
        add(.space, 0x2028...0x2029, 0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000)
        add(.word, 0x200C...0x200D, 0x24B6...0x24E9, 0x1F130...0x1F149, 0x1F150...0x1F169, 0x1F170...0x1F189)
        add(.numeric, 0x11DE0...0x11DE9, 0x16FF4...0x16FF6)
    }
}

/// General categories in the order that `generalCategoryRuns` numbers them.
enum GeneralCategory: UInt8, CaseIterable {
    case cn, lu, ll, lt, lm, lo, mn, mc, me, nd, nl, no, pc, pd, ps, pe, pi, pf, po, sm, sc, sk, so, zs, zl, zp, cc
    case cf, co

    var scalarClass: ScalarClass {
        switch self {
        case .lu, .lt: [.letter, .upper, .word]
        case .ll: [.letter, .lower, .word]
        case .lm, .lo: [.letter, .word]
        case .mn, .mc, .me: [.mark, .word]
        case .nd, .nl: [.number, .numeric, .word]
        case .no: [.number, .numeric]
        case .pc: .word
        default: []
        }
    }
}
