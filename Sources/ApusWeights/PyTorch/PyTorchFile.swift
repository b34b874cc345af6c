package import ApusTorch

/// The tensors of a `pytorch_model.bin`, mapped; its pickle is read, never run.
package final class PyTorchFile: TensorStore, Sendable {
    package let tensorNames: [String]
    private let mapping: MappedFile
    private let views: [String: (view: PickleReader.View, bytes: Range<Int>)]

    /// Maps the file and checks that every tensor lies in it; reads no weights.
    ///
    /// - Throws: `WeightsError` naming the first fault.
    package init(path: String) throws {
        mapping = try MappedFile(path: path)
        (tensorNames, views) = try mapping.withUnsafeBytes { try Self.parse($0, path: path) }
    }

    package var path: String { mapping.path }

    private typealias Contents = (names: [String], views: [String: (view: PickleReader.View, bytes: Range<Int>)])

    private static func parse(_ bytes: UnsafeRawBufferPointer, path: String) throws -> Contents {
        if OldPyTorchForm.begins(bytes) {
            let old = try OldPyTorchForm(bytes, path: path)
            return try contents(old.tensors, in: old.places, path: path)
        }
        let members = try ZipArchive(bytes, path: path).members
        let pickles = members.keys.filter { $0.hasSuffix("/data.pkl") }
        guard pickles.count == 1, let pickle = pickles.first, let range = members[pickle] else {
            let isScript = members.keys.contains { $0.hasSuffix("/constants.pkl") || $0.hasSuffix("/version") }
            throw WeightsError(
                path, "is a zip archive, but not one that torch.save wrote: it has no data.pkl",
                advice: isScript
                    ? "TorchScript programs are not read; get the model's safetensors files"
                    : "unpack it, or get the model's safetensors files")
        }
        let folder = pickle.dropLast("data.pkl".count)
        if let order = members[folder + "byteorder"], !bytes[order].elementsEqual("little".utf8) {
            throw WeightsError(path, "its numbers are big-endian", advice: "save it again on another machine")
        }
        let tensors = try PickleReader.tensors(UnsafeRawBufferPointer(rebasing: bytes[range]), path: path)
        return try contents(tensors, in: members, below: folder + "data/", path: path)
    }

    /// - Parameter folder: What stands before the key of a storage in the names of `places`.
    private static func contents(
        _ tensors: [(name: String, view: PickleReader.View)], in places: [String: Range<Int>],
        below folder: String = "", path: String
    ) throws -> Contents {
        var contents: Contents = ([], [:])
        for (name, view) in tensors {
            guard let data = places[folder + view.storage.key],
                data.count == view.storage.dtype.byteCount(shape: [view.storage.count])
            else {
                throw WeightsError(
                    path, item: name, "the numbers of this tensor are not there", advice: WeightsError.downloadAgain)
            }
            guard contents.views.updateValue((view, data), forKey: name) == nil else {
                throw WeightsError(path, item: name, "two tensors have this name")
            }
            contents.names.append(name)
        }
        return contents
    }

    private func place(of name: String) throws -> (view: PickleReader.View, bytes: Range<Int>) {
        guard let place = views[name] else {
            throw WeightsError(mapping.path, item: name, "no such tensor among the \(views.count) of this file")
        }
        return place
    }

    package func shape(of name: String) throws -> [Int] { try place(of: name).view.shape }

    package func dtype(of name: String) throws -> DType {
        guard let dtype = DType(try place(of: name).view.storage.dtype) else {
            throw WeightsError(mapping.path, item: name, "numbers of this type are not supported")
        }
        return dtype
    }

    /// The stored values where they lie in the file, or a converted copy.
    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        let (view, range) = try place(of: name)
        let stored = try self.dtype(of: name)
        guard !view.shape.contains(0) else {
            return (try Tensor.zeros(view.shape, dtype: dtype, device: device), false)
        }
        let size = view.storage.dtype.bitsPerElement / 8
        let start = mapping.baseAddress + range.lowerBound + view.offset * size
        guard view.isContiguous, UInt(bitPattern: start).isMultiple(of: UInt(size)) else {
            let copy = try Tensor.empty(view.shape, dtype: stored)
            try copy.withUnsafeMutableBytes { target in
                withExtendedLifetime(mapping) {
                    guard !view.isContiguous else {
                        return target.copyMemory(from: UnsafeRawBufferPointer(start: start, count: target.count))
                    }
                    view.copy(from: start, to: target, elementSize: size)
                }
            }
            return (try copy.to(dtype).to(device), false)
        }
        let mapped = try Tensor.borrowing(start, shape: view.shape, dtype: stored, owner: mapping)
        if stored == dtype && device == .cpu { return (mapped, true) }
        return (try mapped.to(dtype).to(device), false)
    }
}

extension PickleReader.View {
    /// Whether the elements follow each other, the last index fastest.
    fileprivate var isContiguous: Bool {
        var expected = 1
        for (size, stride) in zip(shape, strides).reversed() where size != 1 {
            guard stride == expected else { return false }
            expected *= size
        }
        return true
    }

    /// Lays the elements one after the other, the last index fastest.
    fileprivate func copy(
        from start: UnsafeRawPointer, to target: UnsafeMutableRawBufferPointer, elementSize: Int
    ) {
        guard let width = shape.last, let step = strides.last, var place = target.baseAddress else { return }
        var index = shape.dropLast().map { _ in 0 }
        let end = place + target.count
        while place < end {
            var source = start + zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 } * elementSize
            for _ in 0..<width {
                place.copyMemory(from: source, byteCount: elementSize)
                place += elementSize
                source += step * elementSize
            }
            for dimension in index.indices.reversed() {
                index[dimension] += 1
                guard index[dimension] == shape[dimension] else { break }
                index[dimension] = 0
            }
        }
    }
}
