import ApusAdapters
import ApusFiles
import ApusOptimizers
import ApusTorch
import Foundation

extension OptimizationSettings {
    /// The optimizer of trained tensors.
    ///
    /// - Parameters:
    ///   - linear: The trained matrices of linear layers, by their names.
    ///   - heads: Paths of the modules that make the model's answer.
    ///   - warmup: The steps of the run that warm up.
    ///   - folder: Paged moments lie in a file in it, or in the nearest folder above that there is.
    func optimizer(
        _ trained: [TrainedParameter], galore: GaLoreSettings, linear: Set<String>, heads: [String], warmup: Int,
        pagesNear folder: String
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
            let projected = try projected(of: linear)
            return try APOLLO(groups, settings: adam, options: arguments.apollo, isProjected: projected.contains)
        case .lomo: return LOMO(groups)
        case .adaLOMO: return try AdaLOMO(groups)
        case .fusedAdamW where galore.isOn, .adamW where galore.isOn:
            var options = GaLore.Options()
            options.rank = galore.rank
            options.gap = galore.updateGap
            options.scale = galore.scale
            options.projection = galore.projection
            options.lazy = galore.lazy
            return try GaLore(groups, settings: adam, options: options) {
                galore.chooses($0, linear: linear, heads: heads)
            }
        case .fusedAdamW, .adamW: return try AdamW(groups, settings: adam)
        case .pagedAdamW: return try AdamW(groups, settings: adam, memory: pages(near: folder))
        case .adamW8Bit: return try AdamW8Bit(groups, settings: adam)
        case .pagedAdamW8Bit: return try AdamW8Bit(groups, settings: adam, memory: pages(near: folder))
        }
    }

    /// The matrices whose gradients APOLLO projects: those of `linear` that `--optim_target_modules` names.
    ///
    /// - Parameter linear: The trained matrices of linear layers, by their names.
    /// - Throws: `SettingsError` for a word that names none.
    func projected(of linear: Set<String>) throws -> Set<String> {
        guard let words = optimTargetModules else { return linear }
        return try words.reduce(into: []) { chosen, word in
            let isAll = word.replacing("_", with: "-") == Self.allLinear
            let named = linear.filter { name in
                let module = name.hasSuffix(".weight") ? String(name.dropLast(7)) : name
                return isAll || module.contains(word) || TargetModules.fullMatch(word, module)
            }
            guard isAll || !named.isEmpty else {
                let example = linear.min().map { ", such as \($0.replacing(".weight", with: ""))" } ?? ""
                throw SettingsError(
                    "--optim_target_modules: \"\(word)\" names no linear layer that is trained\(example). Give a part of such a "
                        + "name, a regular expression for all of it, or all-linear.")
            }
            chosen.formUnion(named)
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
