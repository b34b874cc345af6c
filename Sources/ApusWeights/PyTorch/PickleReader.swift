/// Reads the pickle of a table of tensors without running anything.
///
/// A pickle is a program for a stack machine that may call any function of Python. Here it can name nothing but what
/// `torch.save` needs for tensors, and these names are not called: they are words that say what the data beside them is.
/// Everything else is refused by name. Values live in flat lists and refer to each other by index, so that no nesting, however
/// deep, uses the machine's stack.
///
/// Python, Lib/pickletools.py (protocols 2 to 5); torch/serialization.py.
struct PickleReader {
    enum Global: Equatable {
        case orderedDict, rebuildTensor, rebuildParameter, size
        case storage(WeightDType)
    }

    /// A run of numbers in a member of the archive.
    struct Storage: Equatable {
        let dtype: WeightDType
        let key: String
        let count: Int
    }

    /// A tensor over a storage; offset and strides in elements.
    struct View: Equatable {
        let storage: Storage
        let offset: Int
        let shape: [Int]
        let strides: [Int]
    }

    enum Value: Equatable {
        case none, mark
        case bool(Bool)
        case int(Int)
        case double(Double)
        case string(String)
        case tuple(Int)
        case list(Int)
        case dictionary(Int)
        case global(Global)
        case storage(Storage)
        case tensor(View)
    }

    private let bytes: UnsafeRawBufferPointer
    let path: String
    /// Behind what was read.
    private(set) var position = 0
    /// Whether the numbers stand behind the pickle, in the form before PyTorch 1.6.
    private let isOld: Bool
    /// What the pickles of the old form say of each storage, by key.
    private(set) var storages: [String: Storage] = [:]
    private var stack: [Value] = []
    private var memo: [Int: Value] = [:]
    private var instructions = 0
    /// A tensor takes about forty, so that this is room for 100,000.
    private static let maximumInstructions = 4_000_000
    private(set) var sequences: [[Value]] = []
    private(set) var dictionaries: [[(key: Value, value: Value)]] = []

    /// - Parameter isOld: Whether it is of the form before PyTorch 1.6: several pickles, one behind the other.
    init(_ bytes: UnsafeRawBufferPointer, path: String, isOld: Bool = false) {
        self.bytes = bytes
        self.path = path
        self.isOld = isOld
    }

    /// A byte can ask for some hundred bytes of values; tables of the largest models take a few hundred kilobytes.
    static let maximumLength = 64 << 20

    /// The tensors of the table that a pickle describes, in its order.
    ///
    /// - Throws: `WeightsError` naming what the pickle asks for and may not have, or what is damaged.
    static func tensors(_ bytes: UnsafeRawBufferPointer, path: String) throws -> [(name: String, view: View)] {
        guard bytes.count <= maximumLength else {
            throw WeightsError(path, "its pickle has \(bytes.count) bytes, more than any table of tensors needs")
        }
        var reader = PickleReader(bytes, path: path)
        return try reader.tensors()
    }

    /// The tensors of the table that the next pickle describes.
    mutating func tensors() throws -> [(name: String, view: View)] {
        let end = try value()
        guard case .dictionary(let index) = end else {
            if case .tensor = end { throw unsupported("one tensor without a name") }
            throw refused("it holds something other than a table of tensors")
        }
        return try table(at: index)
    }

    /// What the next pickle describes.
    mutating func value() throws -> Value {
        (stack, memo) = ([], [:])
        return try run()
    }

    func refused(_ problem: String) -> WeightsError {
        WeightsError(
            path, problem, advice: "only tables of tensors are read, and nothing is ever run; do not trust this file")
    }

    func unsupported(_ what: String) -> WeightsError {
        WeightsError(path, "it holds \(what), which is not read", advice: "save the model again as plain tensors")
    }

    var damaged: WeightsError {
        WeightsError(path, "its pickle is damaged at byte \(position)", advice: WeightsError.downloadAgain)
    }

    // MARK: - Reading

    private mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count - position else { throw damaged }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    private mutating func number<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws -> T {
        T(littleEndian: try take(MemoryLayout<T>.size).loadUnaligned(as: type))
    }

    private mutating func text(_ count: Int) throws -> String {
        guard let text = String(validating: try take(count), as: UTF8.self) else { throw damaged }
        return text
    }

    /// To the end of the line.
    private mutating func line() throws -> String {
        guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { throw damaged }
        let text = try text(end - position)
        position = end + 1
        return text
    }

    // MARK: - The stack

    private mutating func pop() throws -> Value {
        guard let value = stack.popLast(), value != .mark else { throw damaged }
        return value
    }

    /// What was pushed after the last mark.
    private mutating func popToMark() throws -> [Value] {
        guard let mark = stack.lastIndex(of: .mark) else { throw damaged }
        defer { stack.removeSubrange(mark...) }
        return Array(stack[(mark + 1)...])
    }

    private mutating func pushTuple(_ values: [Value]) {
        stack.append(.tuple(sequences.count))
        sequences.append(values)
    }

    private mutating func pushTuple(of count: Int) throws {
        var values: [Value] = []
        for _ in 0..<count { values.append(try pop()) }
        pushTuple(values.reversed())
    }

    private mutating func append(_ values: [Value]) throws {
        guard case .list(let index)? = stack.last else { throw damaged }
        sequences[index] += values
    }

    private mutating func set(_ values: [Value]) throws {
        guard case .dictionary(let index)? = stack.last, values.count.isMultiple(of: 2) else { throw damaged }
        for start in stride(from: 0, to: values.count, by: 2) {
            dictionaries[index].append((values[start], values[start + 1]))
        }
    }

    private mutating func pushDictionary() {
        stack.append(.dictionary(dictionaries.count))
        dictionaries.append([])
    }

    private mutating func remember(_ index: Int) throws {
        guard let value = stack.last, value != .mark else { throw damaged }
        memo[index] = value
    }

    private mutating func recall(_ index: Int) throws {
        guard let value = memo[index] else { throw damaged }
        stack.append(value)
    }

    // MARK: - The program

    private mutating func run() throws -> Value {
        while true {
            // An instruction of a byte can make a value of some hundred.
            instructions += 1
            guard instructions <= Self.maximumInstructions else {
                throw refused("its pickle has more instructions than any table of tensors needs")
            }
            let code = try number(UInt8.self)
            switch code {
            case UInt8(ascii: "."): return try pop()
            case 0x80:
                let version = try number(UInt8.self)
                guard version <= 5 else { throw refused("its pickle has the protocol \(version)") }
            case 0x95: _ = try number(UInt64.self)  // FRAME
            case UInt8(ascii: "("): stack.append(.mark)
            case UInt8(ascii: "N"): stack.append(.none)
            case 0x88: stack.append(.bool(true))
            case 0x89: stack.append(.bool(false))
            case UInt8(ascii: "J"): stack.append(.int(Int(try number(Int32.self))))
            case UInt8(ascii: "K"): stack.append(.int(Int(try number(UInt8.self))))
            case UInt8(ascii: "M"): stack.append(.int(Int(try number(UInt16.self))))
            case 0x8A: try pushLong()
            case UInt8(ascii: "G"):
                stack.append(.double(Double(bitPattern: UInt64(bigEndian: try take(8).loadUnaligned(as: UInt64.self)))))
            case UInt8(ascii: "X"):
                let count = Int(try number(UInt32.self))
                stack.append(.string(try text(count)))
            case 0x8C:
                let count = Int(try number(UInt8.self))
                stack.append(.string(try text(count)))
            case UInt8(ascii: "q"): try remember(Int(number(UInt8.self)))
            case UInt8(ascii: "r"): try remember(Int(number(UInt32.self)))
            case 0x94: try remember(memo.count)
            case UInt8(ascii: "h"): try recall(Int(number(UInt8.self)))
            case UInt8(ascii: "j"): try recall(Int(number(UInt32.self)))
            case UInt8(ascii: ")"): pushTuple([])
            case UInt8(ascii: "t"): pushTuple(try popToMark())
            case 0x85, 0x86, 0x87: try pushTuple(of: Int(code) - 0x84)
            case UInt8(ascii: "]"):
                stack.append(.list(sequences.count))
                sequences.append([])
            case UInt8(ascii: "a"): try append([pop()])
            case UInt8(ascii: "e"): try append(popToMark())
            case UInt8(ascii: "}"): pushDictionary()
            case UInt8(ascii: "s"):
                let (value, key) = (try pop(), try pop())
                try set([key, value])
            case UInt8(ascii: "u"): try set(popToMark())
            case UInt8(ascii: "c"): stack.append(.global(try global(line(), line())))
            case 0x93:
                guard case .string(let name) = try pop(), case .string(let module) = try pop() else { throw damaged }
                stack.append(.global(try global(module, name)))
            case UInt8(ascii: "Q"): stack.append(.storage(try storage(pop())))
            case UInt8(ascii: "R"):
                let arguments = try pop()
                try reduce(pop(), arguments)
            case UInt8(ascii: "b"):
                // Attributes of the table: PyTorch notes the versions of its modules there.
                _ = try pop()
                guard case .dictionary? = stack.last else { throw refused("it sets attributes of an object") }
            default:
                throw refused(
                    "its pickle has the instruction 0x\(String(code, radix: 16)), which no table of tensors needs")
            }
        }
    }

    private mutating func pushLong() throws {
        let count = Int(try number(UInt8.self))
        guard count <= 8 else { throw refused("it holds a number of \(count) bytes") }
        let digits = try take(count)
        var value = digits.last.map { $0 >= 0x80 ? -1 : 0 } ?? 0
        for digit in digits.reversed() { value = value << 8 | Int(digit) }
        stack.append(.int(value))
    }

    // MARK: - The words

    private static let storageTypes: [String: WeightDType] = [
        "FloatStorage": .float32, "DoubleStorage": .float64, "HalfStorage": .float16, "BFloat16Storage": .bfloat16,
        "LongStorage": .int64, "IntStorage": .int32, "ShortStorage": .int16, "CharStorage": .int8,
        "ByteStorage": .uint8, "BoolStorage": .bool,
    ]

    private func global(_ module: String, _ name: String) throws -> Global {
        switch (module, name) {
        case ("collections", "OrderedDict"): return .orderedDict
        case ("torch._utils", "_rebuild_tensor_v2"): return .rebuildTensor
        case ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_parameter_with_state"):
            return .rebuildParameter
        case ("torch", "Size"): return .size
        default:
            if module == "torch", let dtype = Self.storageTypes[name] { return .storage(dtype) }
            if module == "torch" && name.hasSuffix("Storage") || module == "torch._utils" && name.hasPrefix("_rebuild_")
            {
                throw unsupported("a tensor of another kind (\(WeightsError.printable(module + "." + name)))")
            }
            if Self.isOfTraining(module) {
                throw WeightsError(
                    path,
                    "it holds a Python object (\(WeightsError.printable(module + "." + name))), not tensors alone",
                    advice: "nothing of a pickle is ever run; load it in Python and save the weights alone, "
                        + "with save_pretrained or as model.state_dict()")
            }
            throw refused("it asks for \(WeightsError.printable(module + "." + name)), which is not part of any tensor")
        }
    }

    /// Whether a module's classes are found in checkpoints and whole models that people save in good faith.
    private static func isOfTraining(_ module: String) -> Bool {
        let root = module.split(separator: ".").first ?? ""
        return ["transformers", "peft", "argparse", "omegaconf", "deepspeed", "accelerate", "sentence_transformers"]
            .contains(root) || module.hasPrefix("pytorch_lightning") || module.hasPrefix("lightning")
            || module.hasPrefix("torch.nn") || module.hasPrefix("torch.optim") || module == "__main__"
    }

    private func items(_ value: Value) throws -> [Value] {
        guard case .tuple(let index) = value else { throw damaged }
        return sequences[index]
    }

    private func sizes(_ value: Value) throws -> [Int] {
        let items = try items(value)
        guard items.count <= 64 else { throw refused("a tensor has \(items.count) dimensions") }
        return try items.map { item in
            guard case .int(let size) = item, size >= 0 else { throw damaged }
            return size
        }
    }

    /// The storage that a persistent id names: `("storage", type, key, location, count)`, and in the old form what part of
    /// another storage it is.
    private mutating func storage(_ id: Value) throws -> Storage {
        let parts = try items(id)
        guard parts.count == (isOld ? 6 : 5), parts[0] == .string("storage"),
            case .global(.storage(let dtype)) = parts[1],
            case .string(let key) = parts[2], key.utf8.count <= 64, case .int(let count) = parts[4], count >= 0
        else { throw refused("it refers to something other than the numbers of a tensor") }
        let storage = Storage(dtype: dtype, key: key, count: count)
        guard isOld else { return storage }
        guard parts[5] == .none else { throw unsupported("a storage that is part of another") }
        guard storages.updateValue(storage, forKey: key) ?? storage == storage else {
            throw refused("it says two things of the storage \(WeightsError.printable(key))")
        }
        return storage
    }

    private mutating func reduce(_ function: Value, _ arguments: Value) throws {
        let parts = try items(arguments)
        switch function {
        case .global(.orderedDict):
            guard parts.isEmpty else { throw refused("it fills a table by a call") }
            pushDictionary()
        case .global(.size):
            guard parts.count == 1 else { throw damaged }
            stack.append(parts[0])
        case .global(.rebuildParameter):
            guard let first = parts.first, case .tensor = first else { throw damaged }
            stack.append(first)
        case .global(.rebuildTensor):
            guard parts.count == 6 || parts.count == 7, case .storage(let storage) = parts[0],
                case .int(let offset) = parts[1]
            else {
                throw damaged
            }
            if parts.count == 7 {
                guard case .dictionary(let marks) = parts[6], dictionaries[marks].isEmpty else {
                    throw unsupported("a tensor that is marked as negated or conjugated")
                }
            }
            let (shape, strides) = (try sizes(parts[2]), try sizes(parts[3]))
            guard Self.fits(shape, strides, offset: offset, count: storage.count) else {
                throw refused(
                    "a tensor of the shape \(shape) reaches beyond the \(storage.count) numbers of its storage")
            }
            stack.append(.tensor(View(storage: storage, offset: offset, shape: shape, strides: strides)))
        default: throw refused("it calls something that is not a function")
        }
    }

    /// Whether every element lies in the storage.
    private static func fits(_ shape: [Int], _ strides: [Int], offset: Int, count: Int) -> Bool {
        guard shape.count == strides.count, offset >= 0, offset <= count else { return false }
        guard let elements = elementCount(of: shape) else { return false }
        guard elements > 0 else { return true }
        var last = offset
        for (size, stride) in zip(shape, strides) {
            let (reach, isTooFar) = (size - 1).multipliedReportingOverflow(by: stride)
            let (sum, isTooLong) = last.addingReportingOverflow(reach)
            guard !isTooFar, !isTooLong else { return false }
            last = sum
        }
        return last < count
    }
}
