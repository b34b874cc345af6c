import Foundation
import Testing

@testable import ApusTorch

struct TensorTests {
    @Test func arithmeticAndShapes() throws {
        let a = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        let b = try (a * 2 + a).reshaped([3, 2])
        #expect(b.shape == [3, 2])
        #expect(try b.values(as: Float.self) == [3, 6, 9, 12, 15, 18])
        #expect(try a.transposed(0, 1).values(as: Float.self) == [1, 4, 2, 5, 3, 6])
        #expect(try a.sum(1).values(as: Float.self) == [6, 15])
        #expect(try a.to(.bfloat16).dtype == .bfloat16)
    }

    @Test func gradientsFlow() throws {
        let x = try Tensor([1, 2, 3] as [Float])
        try x.setRequiresGradient(true)
        try (x * x).sum().backward()
        #expect(try x.gradient?.values(as: Float.self) == [2, 4, 6])
        let silent = try withoutGradients { try x * x }
        #expect(!silent.requiresGradient)
    }

    @Test func aGradientOfAnotherShapeTypeOrDeviceIsRefused() throws {
        let x = try Tensor.zeros([2, 3])
        let error = #expect(throws: TorchError.self) { try x.setGradient(Tensor.zeros([3, 2])) }
        #expect(error?.message.contains("[3, 2]") == true && error?.message.contains("[2, 3]") == true)
        #expect(throws: TorchError.self) { try x.setGradient(Tensor.zeros([6])) }
        #expect(throws: TorchError.self) { try x.setGradient(Tensor.zeros([])) }
        #expect(throws: TorchError.self) { try x.setGradient(Tensor.zeros([2, 3], dtype: .bfloat16)) }
        #expect(throws: TorchError.self) { try x.setGradient(Tensor.zeros([2, 3], dtype: .float64)) }
        #expect(x.gradient == nil)
        try x.setGradient(Tensor.ones([2, 3]))
        #expect(try x.gradient?.sum().item() == 6)
        x.clearGradient()
        #expect(x.gradient == nil)
    }

    @Test func sumsOfManyElementsAreRight() throws {
        for count in [1, 16384, 16385, 40_000, 16384 * 3] {
            let x = try Tensor.arange(0..<count, dtype: .float64)
            try x.setRequiresGradient(true)
            #expect(try x.sum().item() == Double(count) * Double(count - 1) / 2)
            #expect(try x.mean().item() == Double(count - 1) / 2)
            try (x.sum() * 3).backward()
            #expect(try x.gradient?.values(as: Double.self) == Array(repeating: 3, count: count))
        }
        #expect(try Tensor.ones([70_000], dtype: .bfloat16).sum().item() == 70_144)
        #expect(try Tensor.ones([70_000], dtype: .bfloat16).sum().dtype == .bfloat16)
        #expect(try Tensor.arange(0..<70_000).sum().dtype == .int64)
    }

    @Test func aWrongShapeIsAnErrorAndTheProcessLives() throws {
        let a = try Tensor.zeros([2, 3])
        let b = try Tensor.zeros([4, 5])
        let error = #expect(throws: TorchError.self) { try matmul(a, b) }
        #expect(error?.message.contains("2x3") == true)
        #expect(error?.message.contains("frame #") == false)
        #expect(throws: TorchError.self) { try Tensor([1, 2, 3] as [Float], shape: [2, 2]) }
        #expect(try (a + 1).sum().item() == 6)
    }

    @Test func exhaustedMemoryIsAnErrorAndMemoryComesBack() async throws {
        let error = #expect(throws: TorchError.self) { try Tensor.empty([1 << 50], dtype: .float32) }
        #expect(error?.kind == .outOfMemory)
        #expect(try Tensor.ones([8]).sum().item() == 8)
        // In a process of its own: other tests make tensors meanwhile.
        await #expect(processExitsWith: .exitCode(0)) {
            let before = Torch.liveTensors
            _ = try? Tensor.empty([1 << 50], dtype: .float32)
            exit(Torch.liveTensors == before ? 0 : 1)
        }
    }

    @Test func aBorrowedTensorKeepsItsOwnerAlive() throws {
        final class Owner {
            let memory = UnsafeMutablePointer<Float>.allocate(capacity: 4)
            let onEnd: () -> Void
            init(onEnd: @escaping () -> Void) {
                self.onEnd = onEnd
                memory.initialize(repeating: 7, count: 4)
            }
            deinit {
                memory.deallocate()
                onEnd()
            }
        }
        var ended = false
        do {
            var owner: Owner? = Owner { ended = true }
            let view = try Tensor.borrowing(
                try #require(owner).memory, shape: [4], dtype: .float32, owner: try #require(owner))
            owner = nil
            #expect(!ended)
            #expect(try view.sum().item() == 28)
        }
        #expect(ended)
    }

    @Test func generatorsRepeat() throws {
        func draw(_ seed: UInt64) throws -> [Float] {
            let x = try Tensor.zeros([16])
            try x.fillNormal(generator: Generator(seed: seed))
            return try x.values()
        }
        #expect(try draw(1) == draw(1))
        #expect(try draw(1) != draw(2))
        #expect(streamKey(1, 2, 3) != streamKey(1, 3, 2))
    }
}
