import Foundation

/// One byte for every Unicode scalar, in two stages: 256 scalars share a page, and equal pages are stored once.
///
/// Tables are made once per process and never freed, so the pointers are valid for ever and lookups skip every check.
struct ScalarTable: @unchecked Sendable {
    private let pageOf: UnsafePointer<UInt16>
    /// Page 0 first: `values[byte]` is the value of an ASCII scalar.
    let values: UnsafePointer<UInt8>

    /// - Parameter fill: Writes the value of every scalar into the buffer of 0x110000 bytes.
    init(_ fill: (UnsafeMutableBufferPointer<UInt8>) -> Void) {
        let flat = UnsafeMutablePointer<UInt8>.allocate(capacity: 0x110000)
        defer { flat.deallocate() }
        flat.initialize(repeating: 0, count: 0x110000)
        fill(UnsafeMutableBufferPointer(start: flat, count: 0x110000))
        let pageCount = 0x110000 >> 8
        let pageOf = UnsafeMutablePointer<UInt16>.allocate(capacity: pageCount)
        /// The first page of each content.
        var firsts: [Int] = []
        func areEqual(_ a: Int, _ b: Int) -> Bool { memcmp(flat + (a << 8), flat + (b << 8), 256) == 0 }
        for page in 0..<pageCount {
            let number: UInt16
            // Most pages are as the one before.
            if page > 0, areEqual(page, page - 1) {
                number = pageOf[page - 1]
            } else if let known = firsts.firstIndex(where: { areEqual($0, page) }) {
                number = UInt16(known)
            } else {
                number = UInt16(firsts.count)
                firsts.append(page)
            }
            (pageOf + page).initialize(to: number)
        }
        let values = UnsafeMutablePointer<UInt8>.allocate(capacity: firsts.count << 8)
        for (number, page) in firsts.enumerated() {
            (values + (number << 8)).initialize(from: flat + (page << 8), count: 256)
        }
        self.pageOf = UnsafePointer(pageOf)
        self.values = UnsafePointer(values)
    }

    @inline(__always)
    subscript(scalar: UInt32) -> UInt8 {
        values[Int(pageOf[Int(scalar >> 8)]) << 8 | Int(scalar & 0xFF)]
    }
}

/// The scalar that starts at `position` of valid UTF-8, and where the next one starts.
@inline(__always)
func decodeScalar(_ text: UnsafePointer<UInt8>, _ position: Int) -> (scalar: UInt32, next: Int) {
    let lead = UInt32(text[position])
    if lead < 0x80 { return (lead, position + 1) }
    let second = UInt32(text[position + 1] & 0x3F)
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, position + 2) }
    let third = UInt32(text[position + 2] & 0x3F)
    if lead < 0xF0 { return ((lead & 0x0F) << 12 | second << 6 | third, position + 3) }
    return ((lead & 0x07) << 18 | second << 12 | third << 6 | UInt32(text[position + 3] & 0x3F), position + 4)
}

/// How many bytes the scalar has that starts with a byte of valid UTF-8.
@inline(__always)
func utf8Length(_ lead: UInt8) -> Int {
    switch lead {
    case ..<0x80: 1
    case ..<0xE0: 2
    case ..<0xF0: 3
    default: 4
    }
}
