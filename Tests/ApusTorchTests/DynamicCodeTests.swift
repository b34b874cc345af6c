import Foundation
import Testing

@testable import ApusTorch

/// The dynamic code has the bits that bitsandbytes gives it (Scripts/fixtures/make_quantized.py).
struct DynamicCodeTests {
    private static let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/quantized/dynamic_code.f32")

    @Test func bothCodesHaveTheBitsOfBitsandbytes() throws {
        let bytes = [UInt8](try Data(contentsOf: Self.fixture))
        #expect(bytes.count == 2 * 256 * 4)
        let bits = stride(from: 0, to: bytes.count, by: 4).map { place in
            (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[place + $1]) << (8 * UInt32($1)) }
        }
        #expect((DynamicCode.signed + DynamicCode.unsigned).map(\.bitPattern) == bits)
    }

    @Test func codesAscend() {
        for code in [DynamicCode.signed, DynamicCode.unsigned] {
            #expect(code.count == 256 && zip(code, code.dropFirst()).allSatisfy { $0 < $1 } && code.last == 1)
        }
    }
}
