import CTorch

/// Where a tensor lives.
public enum Device: Sendable, Equatable, CustomStringConvertible {
    case cpu
    case cuda(Int)
    case mps

    /// libtorch's number of the kind (`c10::DeviceType`).
    var type: Int32 {
        switch self {
        case .cpu: 0
        case .cuda: 1
        case .mps: 13
        }
    }

    var index: Int32 {
        if case .cuda(let index) = self { Int32(index) } else { self == .mps ? 0 : -1 }
    }

    init(type: Int32, index: Int32) {
        switch type {
        case 1: self = .cuda(Int(index))
        case 13: self = .mps
        default: self = .cpu
        }
    }

    /// Makes the device usable: loads the kernels of CUDA; bounds the machine code that products on the CPU leave behind.
    ///
    /// To be called before the first product: batches of changing length would double the memory of a small model's run. CUDA
    /// is refused after the first backward pass.
    ///
    /// - Throws: `TorchError` when the kernels or the device are not there.
    public func prepare() throws {
        #if !canImport(Darwin)
            if self == .mps {
                throw TorchError(
                    kind: .other, message: "--device mps: this machine has none; leave --device out or give cpu")
            }
        #endif
        if self == .cpu { ct_bound_product_code() }
        guard case .cuda = self else { return }
        if ct_load_cuda() != 0 { throw TorchError.last() }
    }

    /// Why fused operations in this type are computed by ordinary ones, where the device could have kernels for them.
    package func kernelNote(for dtype: DType) -> String? {
        guard case .cuda = self, let note = ct_kernel_note(index, dtype.scalarType) else { return nil }
        return note.pointee == 0 ? nil : String(cString: note)
    }

    /// The bytes of the kernels for an architecture such as `sm_90`, compiled on this machine, which needs no device.
    ///
    /// - Throws: `TorchError` when CUDA's run-time compiler is not there, or refuses them.
    package static func compileKernels(for architecture: String) throws -> Int {
        let bytes = ct_compile_kernels(architecture)
        if bytes < 0 { throw TorchError.last() }
        return Int(bytes)
    }

    /// A CUDA device where its kernels are installed and one answers, else the CPU.
    ///
    /// After a backward pass on the CPU it is the CPU too.
    package static var fastest: Device { ct_load_cuda() == 0 ? .cuda(0) : .cpu }

    public var description: String {
        switch self {
        case .cpu: "cpu"
        case .cuda(let index): "cuda:\(index)"
        case .mps: "mps"
        }
    }
}
