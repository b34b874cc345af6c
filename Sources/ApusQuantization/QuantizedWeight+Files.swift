package import ApusTorch
package import ApusWeights

extension QuantizedWeight {
    /// The tensors that bitsandbytes writes of a matrix, under the names that they have beside `name`.
    ///
    /// - Parameters:
    ///   - name: Such as `model.layers.0.mlp.up_proj.weight`.
    ///   - storage: The type under whose name the bytes of four bits are written.
    /// - Throws: `WeightsError` where the bytes do not fill elements of that type.
    package func sources(_ name: String, storage: DType = .uint8) throws -> [WeightSource] {
        guard let type else {
            let stem = String(name.dropLast("weight".count))
            return [
                WeightSource(name, numbers.packed), WeightSource(stem + "SCB", numbers.absmax),
                WeightSource(name: stem + "weight_format", dtype: .uint8, shape: [], bytes: [0]),
            ]
        }
        guard numbers.packed.count % storage.size == 0 else {
            throw WeightsError(
                name, "the \(numbers.packed.count) bytes of its indices do not fill elements of \(storage)",
                advice: "give --bnb_4bit_quant_storage uint8")
        }
        let packed = numbers.packed
        var sources = [
            WeightSource(name: name, dtype: storage.stored, shape: [packed.count / storage.size, 1]) { sink in
                try packed.withUnsafeBytes { try sink($0) }
            },
            WeightSource("\(name).absmax", numbers.absmax),
        ]
        if let code = numbers.code { sources.append(WeightSource("\(name).quant_map", code)) }
        if let nested = numbers.nested {
            sources.append(WeightSource("\(name).nested_absmax", nested.absmax))
            sources.append(WeightSource("\(name).nested_quant_map", nested.code))
        }
        let state = Array(stateText(type).utf8)
        sources.append(
            WeightSource(
                name: "\(name).quant_state.bitsandbytes__\(type)", dtype: .uint8, shape: [state.count], bytes: state))
        return sources
    }

    /// Python's JSON of what is no tensor.
    private func stateText(_ type: FourBitType) -> String {
        var fields = [
            "\"quant_type\": \"\(type)\"", "\"blocksize\": \(numbers.block)", "\"dtype\": \"\(dtype)\"",
            "\"shape\": [\(numbers.rows), \(numbers.columns)]",
        ]
        if let nested = numbers.nested {
            fields += [
                "\"nested_blocksize\": \(nested.block)", "\"nested_dtype\": \"float32\"",
                "\"nested_offset\": \(Double(nested.offset))",
            ]
        }
        return "{\(fields.joined(separator: ", "))}"
    }
}
