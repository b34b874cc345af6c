/// A checksum of 32 bits: the remainder of a division by a polynomial over the bits, lowest first.
struct CRC32: Sendable {
    /// Of zip, Weights & Biases and SwanLab.
    static let ieee = CRC32(reflected: 0xEDB8_8320)
    /// CRC-32C, of TensorBoard.
    static let castagnoli = CRC32(reflected: 0x82F6_3B78)

    private let table: [UInt32]

    private init(reflected polynomial: UInt32) {
        table = (0..<256).map { byte in
            (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? (crc >> 1) ^ polynomial : crc >> 1 }
        }
    }

    func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(~0) { crc, byte in table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ (crc >> 8) }
    }

    /// The checksum as event files store it: rotated and shifted, so that a checksum of checksums stays a good one.
    func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let crc = checksum(bytes)
        return ((crc >> 15) | (crc << 17)) &+ 0xA282_EAD8
    }
}
