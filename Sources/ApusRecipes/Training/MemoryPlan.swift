import ApusDatasets
import ApusFiles
import ApusLanguageModel
import ApusNN
import ApusOptimizers
import ApusRunLog
import ApusTorch
import ApusTraining

/// Chooses how a run fits into memory, before its first step: how much of a micro-batch is computed at once, and whether
/// layers keep what their backward pass needs or compute it again.
struct MemoryPlan {
    private let settings: SFTSettings
    private let model: any TextModel
    private let second: (any TextModel)?
    private let tuner: Tuner
    private let data: TrainingSamples
    private let dtype: DType
    private let stateBytes: Int
    private let kept: (all: Tuner.KeptCounts, atOnce: Tuner.KeptCounts)
    private let canBeHalved: Bool

    /// - Parameters:
    ///   - second: A model that is held beside, such as a reference.
    ///   - canBeHalved: Whether the losses of parts of a micro-batch add up to its own.
    init(
        _ settings: SFTSettings, model: any TextModel, beside second: (any TextModel)?, tuner: Tuner,
        optimizer: any Optimizer, data: TrainingSamples, dtype: DType, canBeHalved: Bool
    ) throws {
        self.settings = settings
        self.model = model
        self.second = second
        self.tuner = tuner
        self.data = data
        self.dtype = dtype
        let isPaged = settings.optimization.optimizer != .muon && settings.optimization.optim.isPaged
        kept = tuner.keptCounts(of: model)
        stateBytes = try isPaged ? 0 : optimizer.rememberedBytes
        self.canBeHalved = canBeHalved && !settings.optimization.optim.followsInPass
    }

    /// The plan with what was chosen, which is told.
    ///
    /// With `--max_memory` micro-batches are halved until they fit, and where single samples do not, layers run again as
    /// well: parts cost next to nothing as long as they have some hundred tokens, a second forward pass costs a third of a
    /// step. Halving depends on the limit alone, so that a resumed run chooses the same. Without a limit nothing is halved;
    /// layers run again, which changes no number, where the free memory would be too small as well.
    ///
    /// - Throws: `SettingsError` where nothing fits.
    func fitted(_ plan: TrainingPlan, console: Console) throws -> TrainingPlan {
        var plan = plan
        let optimization = settings.optimization
        let followsInPass = optimization.optim.followsInPass
        let available = model.device == .cpu ? ResidentMemory.available.map(Int.init) : model.device.memory?.free
        let limit = try optimization.memoryLimit(on: model.device)
        // Gradients that are followed in the pass are complete layer by layer where layers run again in it.
        plan.checkpointsLayers = optimization.gradientCheckpointing ?? followsInPass
        if let limit { (plan.halvings, plan.checkpointsLayers) = try choice(within: limit, plan) }
        let plain = forecast(plan, halvings: plan.halvings, checkpoints: false)
        // A limit may be above what is free.
        if optimization.gradientCheckpointing == nil, let available, plain.total > available * 9 / 10 {
            plan.checkpointsLayers = true
        }
        let chosen = forecast(plan, halvings: plan.halvings, checkpoints: plan.checkpointsLayers)
        var line = "memory forecast: \(ByteCount.format(Int64(chosen.total))) at the peak"
        if let limit {
            line += " within the \(ByteCount.format(Int64(limit))) of --max_memory"
        } else if let available {
            line += " of \(ByteCount.format(Int64(available))) available"
        }
        if limit == nil, let sizes = optimization.maxMemory {
            console.print("note: --max_memory \(sizes) says nothing of \(model.device), on which the run is")
        }
        if plan.halvings > 0 {
            let size = sizeAtOnce(plan.halvings)
            line += "; \(size) sample\(size == 1 ? "" : "s") of a micro-batch at once"
        }
        if optimization.gradientCheckpointing == nil {
            line +=
                followsInPass
                ? "; gradient checkpointing is on, because gradients are followed layer by layer"
                : plan.checkpointsLayers
                    ? "; gradient checkpointing is on, because \(ByteCount.format(Int64(plain.total))) without it would not fit"
                    : "; gradient checkpointing is not needed"
        }
        console.print(line)
        return plan
    }

    /// The cheapest choice within a limit.
    private func choice(within limit: Int, _ plan: TrainingPlan) throws -> (halvings: Int, checkpointsLayers: Bool) {
        let optimization = settings.optimization
        let ways =
            optimization.gradientCheckpointing.map { [$0] }
            ?? (optimization.optim.followsInPass ? [true] : [false, true])
        var most = 0
        if canBeHalved { while sizeAtOnce(most) > 1 { most += 1 } }
        let choice = Self.choice(within: limit, halvings: most, checkpoints: ways) {
            forecast(plan, halvings: $0, checkpoints: $1).total
        }
        if let choice { return choice }
        let isTwice = ways.contains(true)
        let least = forecast(plan, halvings: most, checkpoints: isTwice)
        func size(_ bytes: Int) -> String { ByteCount.format(Int64(bytes)) }
        throw SettingsError(
            "--max_memory \(optimization.maxMemory ?? ""): the run needs \(size(least.total)) at least, with "
                + "\(sizeAtOnce(most)) sample\(sizeAtOnce(most) == 1 ? "" : "s") at once"
                + (isTwice ? " and gradient checkpointing" : "")
                + ": \(size(least.weights)) for weights, \(size(least.trained)) for what is trained, "
                + "\(size(least.activations + least.logits + least.matrix)) for the largest pass, "
                + "\(size(MemoryForecast.process)) for the program. Give a larger limit, a smaller --max_length, or "
                + "--quant_method bnb --quant_bits 4.")
    }

    /// The first way of computing that has a number of halvings within a limit, with the least of these.
    ///
    /// - Parameters:
    ///   - most: The most halvings there can be.
    ///   - ways: Whether layers may run again, the cheapest way first.
    ///   - forecast: The bytes of a choice.
    static func choice(
        within limit: Int, halvings most: Int, checkpoints ways: [Bool], forecast: (Int, Bool) -> Int
    ) -> (halvings: Int, checkpointsLayers: Bool)? {
        for way in ways {
            if let halvings = (0...most).first(where: { forecast($0, way) <= limit }) { return (halvings, way) }
        }
        return nil
    }

    /// The samples of the largest part of a micro-batch.
    private func sizeAtOnce(_ halvings: Int) -> Int {
        var size = settings.optimization.perDeviceTrainBatchSize
        for _ in 0..<halvings { size = (size + 1) / 2 }
        return size
    }

    private func forecast(_ plan: TrainingPlan, halvings: Int, checkpoints: Bool) -> MemoryForecast {
        let largest = data.largestBatch(size: sizeAtOnce(halvings), packs: plan.batches.packs)
        let followsInPass = settings.optimization.optim.followsInPass
        let kept = checkpoints ? kept.atOnce : kept.all
        return MemoryForecast(
            shape: model.sizes,
            // What is trained of the model itself is counted there.
            weightBytes: QuantizedLayers.byteCount(of: model, dtype: dtype)
                - (tuner.isFull ? tuner.trainedCount * dtype.size : 0)
                + (second.map { QuantizedLayers.byteCount(of: $0, dtype: dtype) } ?? 0),
            largestMatrix: QuantizedLayers.largestCount(of: model), dtype: dtype,
            trainedCount: tuner.trainedCount,
            trainedDType: tuner.isFull ? dtype : settings.tuner.loraDType ?? .float32,
            tokens: largest.tokens,
            targets: !settings.task.predictsTokens
                ? 0 : settings.preferences == nil ? largest.targets : largest.tokens,
            scoredRows: rowsAtATime(on: model.device),
            adaptedRank: tuner.adaptedRank,
            keptCount: kept.fixed, keptOfToken: kept.ofToken,
            checkpointsLayers: checkpoints,
            stateBytes: stateBytes,
            heldGradients: followsInPass ? tuner.largestPart(of: model) : tuner.activeCount,
            keepsMasters: !followsInPass)
    }
}
