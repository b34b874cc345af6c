import ApusAdapters
import ApusFiles
import ApusOptimizers
import ApusTorch
import Foundation

extension OptimizationSettings {
    /// The optimizer of trained tensors.
    ///
    /// - Parameters:
    ///   - heads: Paths of the modules that make the model's answer.
    ///   - warmup: The steps of the run that warm up.
    ///   - folder: Paged moments lie in a file in it, or in the nearest folder above that there is.
    func optimizer(
        _ trained: [TrainedParameter], galore: GaLoreSettings, heads: [String], warmup: Int, pagesNear folder: String
    ) throws -> any Optimizer {
        let groups = ParameterGroup.decaying(trained, weightDecay)
        var arguments = try OptimizerArguments(self)
        if optimizer == .muon {
            return try Muon(ParameterGroup.alike(trained, weightDecay), settings: arguments.muon) { name in
                !Self.isTableOrHead(name, heads: heads)
            }
        }
        switch optim {
        case .sgd: return try SGD(groups, settings: arguments.sgd)
        case .adafactor: return try Adafactor(groups, settings: arguments.adafactor)
        case .adagrad: return try Adagrad(groups, settings: arguments.adagrad)
        case .rmsprop: return try RMSprop(groups, settings: arguments.rmsprop)
        case .lion: return try Lion(groups, settings: adam)
        case .pagedLion: return try Lion(groups, settings: adam, memory: pages(near: folder))
        case .lion8Bit: return try Lion8Bit(groups, settings: adam)
        case .pagedLion8Bit: return try Lion8Bit(groups, settings: adam, memory: pages(near: folder))
        case .stableAdamW: return try StableAdamW(groups, settings: adam)
        case .scheduleFreeAdamW, .scheduleFreeSGD:
            arguments.scheduleFree.warmupSteps = warmup
            return try ScheduleFree(groups, settings: arguments.scheduleFree)
        case .adEMAMix: return try AdEMAMix(groups, settings: arguments.adEMAMix)
        case .pagedAdEMAMix:
            return try AdEMAMix(groups, settings: arguments.adEMAMix, memory: pages(near: folder))
        case .grokAdamW: return try GrokAdamW(groups, settings: arguments.grokAdamW)
        case .apollo:
            return try APOLLO(groups, settings: adam, options: arguments.apollo, isProjected: projects)
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

    /// Whether the gradient of a matrix is projected: of a linear layer that `--optim_target_modules` names.
    private func projects(_ name: String) -> Bool {
        guard !Self.isTable(name) else { return false }
        let module = name.hasSuffix(".weight") ? String(name.dropLast(7)) : name
        return (optimTargetModules ?? [Self.allLinear]).contains { word in
            word.replacing("_", with: "-") == Self.allLinear || module.contains(word)
                || TargetModules.fullMatch(word, module)
        }
    }

    private static let allLinear = "all-linear"

    /// Whether a parameter belongs to a table of words.
    private static func isTable(_ name: String) -> Bool {
        name.split(separator: ".").contains { part in ["embed", "wte", "wpe"].contains { part.contains($0) } }
    }

    /// Whether a parameter belongs to a table of words or makes the answer.
    private static func isTableOrHead(_ name: String, heads: [String]) -> Bool {
        isTable(name)
            || heads.contains { name == $0 || name.hasPrefix("\($0).") || name.contains(".\($0).") }
    }

    private func pages(near folder: String) throws -> StateMemory {
        var folder = folder
        while !FileManager.default.fileExists(atPath: folder), folder != "/", folder != "." {
            folder = FilePath.parent(of: folder)
        }
        return .paged(try PagedMemory(folder: folder, limit: pagedBytes))
    }
}

extension OptimizationSettings {
    /// What the optimizer remembers of a trained element takes, of what stays in memory.
    ///
    /// - Parameter width: Of the model, beside which the rank of GaLore is small.
    func momentBytes(_ galore: GaLoreSettings, width: Int) throws -> Int {
        let arguments = try OptimizerArguments(self)
        if optimizer == .muon { return 4 }
        let further =
            (arguments.sgd.momentum > 0 ? 4 : 0) + (arguments.adafactor.beta1 == nil ? 0 : 4)
            + (arguments.rmsprop.momentum > 0 ? 4 : 0) + (arguments.rmsprop.isCentered ? 4 : 0)
        return optim.momentBytes(galore, width: width) + further
    }
}

extension OptimizerName {
    fileprivate func momentBytes(_ galore: GaLoreSettings, width: Int) -> Int {
        if galore.isOn { return min(8, (galore.isQuantized ? 2 : 8) * galore.rank / max(1, width)) }
        return switch self {
        case .sgd, .lomo, .adaLOMO, .adafactor, .pagedAdamW, .pagedAdamW8Bit, .pagedLion, .pagedLion8Bit,
            .pagedAdEMAMix:
            0
        case .lion8Bit: 1
        case .adamW8Bit: 2
        case .lion, .adagrad, .rmsprop: 4
        case .fusedAdamW, .adamW, .stableAdamW: 8
        // The weights that are trained and those that take the steps, beside those of the model.
        case .scheduleFreeSGD: 8
        case .scheduleFreeAdamW, .adEMAMix, .grokAdamW: 12
        case .apollo: 8
        }
    }
}
