import ApusAdapters
import ApusDatasets
import ApusHub
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusQuantization

/// How many parameters a model has and how many would train, from its configuration alone.
package struct ParameterCount: Sendable {
    package let total: Int
    package let trainable: Int

    init(total: Int, trainable: Int) {
        self.total = total
        self.trainable = trainable
    }

    /// No weights are read and none are allocated.
    package init(_ settings: ParamsSettings, surroundings: Surroundings = Surroundings()) throws {
        var source = try ModelSource(
            settings.model.name ?? "", surroundings: surroundings.reaching(settings.hub), need: .texts)
        if settings.model.tunerType.isAdapter {
            let type = try source.config()["model_type"]?.stringValue
            let method = try Tuner.method(
                settings.model.tunerType, AdapterSettings(settings.tuner, modelType: type))
            source.plan = try AdaptedModel.plan(of: [method], config: source.config())
        }
        let config = try source.config()
        let task =
            try settings.model.taskType
            ?? (settings.model.numLabels == nil
                ? .named(by: TaskFiles(source: source, config: config)) : .sequenceClassification)
        let head = try task.task.head(labelCount: settings.model.numLabels, config: config)
        let model = try Models.registry.model(config, for: head)
        let bits = try settings.model.quantization.bits ?? source.bitsAndBytes(config)?.bits
        let base = model.parameterCount + QuantizedLayers.addedCount(model, bits: bits)
        guard settings.model.tunerType.isAdapter else {
            let own = try OwnWeights(settings.full, tuner: settings.model.tunerType, seed: 0, of: model)
            (total, trainable) = (base, own.parameters.reduce(0) { $0 + $1.slot.count })
            return
        }
        let adapter = AdapterSettings(
            settings.tuner, modelType: config["model_type"]?.stringValue, on: model)
        var method = try Tuner.method(settings.model.tunerType, adapter)
        method.base.modulesToSave += try Tuner.modulesToSave(settings.tuner.modulesToSave, of: model)
        let attached = try method.attached(to: model, for: task)
        trainable = attached.parameters.reduce(0) { $0 + $1.slot.count }
        // As PEFT counts: a head that trains comes on top, as the copy that PEFT makes of it.
        total = base + attached.addedCount
    }

    /// PEFT's line.
    package var text: String {
        func grouped(_ count: Int) -> String {
            var digits = String(count)
            var index = digits.count - 3
            while index > 0 {
                digits.insert(",", at: digits.index(digits.startIndex, offsetBy: index))
                index -= 3
            }
            return digits
        }
        let share = (1e6 * Double(trainable) / Double(max(total, 1))).rounded() / 1e4
        return "trainable params: \(grouped(trainable)) || all params: \(grouped(total)) || trainable%: \(share)"
    }
}
