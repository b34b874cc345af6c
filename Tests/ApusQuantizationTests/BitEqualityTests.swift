import Foundation
import Testing

@testable import ApusQuantization
@testable import ApusTorch
@testable import ApusWeights

/// Every bit is the one that bitsandbytes' CPU backend makes.
struct BitEqualityTests {
    private let states: QuantizedFixture

    init() throws { states = try QuantizedFixture("states") }

    @Test func codesAreThoseOfBitsandbytes() throws {
        let store = try ModelWeights(folder: QuantizedFixture.folder.appendingPathComponent("nf4-double").path)
        let map = "model.layers.0.mlp.down_proj.weight.quant_map"
        let nested = "model.layers.0.mlp.down_proj.weight.nested_quant_map"
        let other = try ModelWeights(folder: QuantizedFixture.folder.appendingPathComponent("fp4-single").path)
        func bits(_ store: ModelWeights, _ name: String) throws -> [UInt32] {
            try store.tensor(name, dtype: .float32, device: .cpu).tensor.values(as: Float.self).map(\.bitPattern)
        }
        #expect(try bits(store, map) == FourBitType.nf4.code.map(\.bitPattern))
        #expect(try bits(other, map) == FourBitType.fp4.code.map(\.bitPattern))
        #expect(try bits(store, nested) == DynamicCode.signed.map(\.bitPattern))
    }

    @Test(arguments: [false, true]) func fourBitsHaveTheSameStates(composed: Bool) throws {
        #expect(states.cases.count > 80)
        for (name, type, block, isDouble, key) in states.cases {
            let matrix = try states(name)
            let weight = try composing(composed) {
                try QuantizedWeight(
                    matrix,
                    as: QuantizationSettings(
                        .fourBits(type, block: block, isDouble: isDouble), computeType: .float32), name: name)
            }
            let numbers = weight.numbers
            #expect(try numbers.packed.equals(states("\(key).packed")), "\(key): packed")
            #expect(try numbers.absmax.equals(states("\(key).absmax")), "\(key): absmax")
            if let nested = numbers.nested {
                #expect(try nested.absmax.equals(states("\(key).nested_absmax")), "\(key): nested absmax")
                #expect(try Tensor([nested.offset], shape: []).equals(states("\(key).offset")), "\(key): offset")
            }
        }
    }

    @Test(arguments: [false, true]) func fourBitsBecomeTheSameNumbers(composed: Bool) throws {
        var compared = 0
        for (name, type, block, isDouble, key) in states.cases {
            let shape = try states(name).shape
            let nested =
                try isDouble
                ? QuantizedMatrix.Nested(
                    code: Tensor(DynamicCode.signed), absmax: states("\(key).nested_absmax"),
                    offset: Float(states("\(key).offset").item()), block: 256) : nil
            let numbers = QuantizedMatrix(
                packed: try states("\(key).packed"), code: try Tensor(type.code), absmax: try states("\(key).absmax"),
                nested: nested, block: block, rows: shape[0], columns: shape[1])
            for (dtype, suffix) in [(DType.float32, "values"), (.bfloat16, "values_bf16")] {
                guard let wanted = try states.optional("\(key).\(suffix)") else { continue }
                let made = try composing(composed) { try numbers.dequantized(dtype) }
                // Zeros of fp4 have a sign in one of bitsandbytes' forms and none in the other.
                #expect(try difference(made, wanted) == 0, "\(key): \(dtype)")
                compared += 1
            }
        }
        #expect(compared > 100)
    }

    @Test(arguments: [false, true]) func eightBitsAreTheSame(composed: Bool) throws {
        for name in ["even", "odd", "wide", "one", "long", "half"] {
            try composing(composed) {
                let weight = try QuantizedWeight(
                    states(name), as: QuantizationSettings(.eightBits, computeType: nil), name: name)
                #expect(try weight.numbers.packed.equals(states("\(name).int8.packed")), "\(name)")
                #expect(try weight.numbers.absmax.equals(states("\(name).int8.absmax")), "\(name)")
                #expect(try weight.numbers.dequantized(.float32).equals(states("\(name).int8.values")), "\(name)")
                #expect(try weight.numbers.dequantized(.bfloat16).equals(states("\(name).int8.values_bf16")), "\(name)")
            }
        }
    }

    @Test func numbersThatAreNotFiniteAreRefused() throws {
        for (value, settings) in [
            (Float.infinity, QuantizationSettings(.fourBits(.nf4, block: 64, isDouble: true), computeType: .float32)),
            (70_000, QuantizationSettings(.eightBits, computeType: nil)),
        ] {
            let error = #expect(throws: TorchError.self) {
                try QuantizedWeight(Tensor([value, 1, 2, 3], shape: [2, 2]), as: settings, name: "q.weight")
            }
            #expect("\(try #require(error))".contains("q.weight: holds numbers that are not finite"))
        }
    }

    private func composing<Result>(_ isComposed: Bool, _ body: () throws -> Result) rethrows -> Result {
        try isComposed ? withComposedForms(body) : body()
    }
}
