import ApusFiles
import ApusOptimizers
import ApusTorch
import Foundation

extension OptimizationSettings {
    /// The optimizer of trained tensors.
    ///
    /// - Parameters:
    ///   - heads: Paths of the modules that make the model's answer.
    ///   - folder: Paged moments lie in a file in it, or in the nearest folder above that there is.
    func optimizer(
        _ trained: [TrainedParameter], galore: GaLoreSettings, heads: [String], pagesNear folder: String
    ) throws -> any Optimizer {
        let groups = ParameterGroup.decaying(trained, weightDecay)
        var adam = AdamW.Settings()
        adam.beta1 = adamBeta1
        adam.beta2 = adamBeta2
        adam.epsilon = adamEpsilon
        switch optim {
        case .sgd: return try SGD(groups)
        case .lomo: return LOMO(groups)
        case .adaLOMO: return try AdaLOMO(groups)
        case .fusedAdamW where galore.isOn, .adamW where galore.isOn:
            var options = GaLore.Options()
            options.rank = galore.rank
            options.gap = galore.updateGap
            options.scale = galore.scale
            options.projection = galore.projection
            options.lazy = galore.lazy
            return try GaLore(groups, settings: adam, options: options) { galore.chooses($0, heads: heads) }
        case .fusedAdamW, .adamW: return try AdamW(groups, settings: adam)
        case .pagedAdamW: return try AdamW(groups, settings: adam, memory: pages(near: folder))
        case .adamW8Bit: return try AdamW8Bit(groups, settings: adam)
        case .pagedAdamW8Bit: return try AdamW8Bit(groups, settings: adam, memory: pages(near: folder))
        }
    }

    private func pages(near folder: String) throws -> StateMemory {
        var folder = folder
        while !FileManager.default.fileExists(atPath: folder), folder != "/", folder != "." {
            folder = FilePath.parent(of: folder)
        }
        return .paged(try PagedMemory(folder: folder, limit: pagedBytes))
    }
}

extension OptimizerName {
    /// What the moments of a trained element take, of those that stay in memory.
    ///
    /// - Parameter width: Of the model, beside which the rank of GaLore is small.
    func momentBytes(_ galore: GaLoreSettings, width: Int) -> Int {
        if galore.isOn { return min(8, (galore.isQuantized ? 2 : 8) * galore.rank / max(1, width)) }
        return switch self {
        case .sgd, .lomo, .adaLOMO, .pagedAdamW, .pagedAdamW8Bit: 0
        case .fusedAdamW, .adamW: 8
        case .adamW8Bit: 2
        }
    }
}
