/// Receives consecutive bytes of a file.
///
/// The buffer is borrowed for the call.
package typealias ByteSink = (UnsafeRawBufferPointer) throws -> Void

/// A tensor to be written: its description, and a way to produce its bytes when its turn comes.
package struct WeightSource {
    package let name: String
    package let dtype: WeightDType
    package let shape: [Int]
    /// Sends the elements, row-major and little-endian, in as many pieces as it likes.
    package let write: (ByteSink) throws -> Void

    package init(name: String, dtype: WeightDType, shape: [Int], write: @escaping (ByteSink) throws -> Void) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.write = write
    }

    package init(name: String, dtype: WeightDType, shape: [Int], bytes: [UInt8]) {
        self.init(name: name, dtype: dtype, shape: shape) { sink in try bytes.withUnsafeBytes(sink) }
    }

    /// A tensor copied from another file, which stays mapped until this source is dropped.
    package init(copying entry: SafetensorsEntry, from file: SafetensorsFile, as name: String? = nil) {
        self.init(name: name ?? entry.name, dtype: entry.dtype, shape: entry.shape) { sink in
            try file.withUnsafeBytes(of: entry, sink)
        }
    }
}
