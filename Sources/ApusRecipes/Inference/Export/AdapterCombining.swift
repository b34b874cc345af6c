import ApusAdapters
import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusRunLog
import ApusTorch
import Foundation

/// Makes one adapter of several and writes it as PEFT's files; the model's weights are not needed.
struct AdapterCombining {
    let settings: ExportSettings
    let kind: AdapterCombination.Kind
    let surroundings: Surroundings

    /// - Returns: The folder that was written.
    func callAsFunction() throws -> String {
        let adapters = settings.model.adapters
        let methods = try adapters.map { try AdapterFiles.method(in: $0) }
        // Before they hang on the model, whose weights some would look for.
        try AdapterCombination.check(Array(zip(adapters, methods)).map { (name: $0.0, method: $0.1) })
        let first = methods.first.map { (folder: adapters[0], method: $0) }
        var source = try AdaptedModel.base(settings.model.name, adapter: first, surroundings: surroundings)
        source.plan = try AdaptedModel.plan(of: methods, config: source.config())
        let config = try source.config()
        let files = TaskFiles(
            source: source, config: config, adapterTask: methods.first?.base.taskType, hasAdapter: true)
        let task = try settings.model.taskType ?? TaskType.named(by: files)
        let head = try task.task.head(labelCount: settings.model.numLabels, config: config)
        let model = try Models.registry.model(config, for: head)
        let attached = try zip(adapters, methods).enumerated().map { index, pair in
            let part = try pair.1.attach(
                to: model, named: "\(index)", heads: model.headNames, trunk: model.trunk.name)
            try part.load(from: pair.0, device: .cpu)
            return part
        }
        var combination = AdapterCombination(
            kind,
            weights: settings.combination.weights.isEmpty ? adapters.map { _ in 1 } : settings.combination.weights)
        combination.density = settings.combination.density
        combination.majoritySign = settings.combination.majoritySign
        combination.rank = settings.combination.rank
        combination.seed = UInt64(bitPattern: Int64(settings.model.seed))
        if let notice = combination.notice(attached) {
            Console(style: ConsoleStyle(environment: surroundings.environment)).print("note: \(notice)")
        }
        let combined = try combination(attached, on: model, named: "combined")
        let folder = try AtomicDirectory(settings.outputDirectory)
        try combined.write(into: folder)
        try folder.commit(identity: ["combined": .array(adapters.map(JSONValue.string))])
        return settings.outputDirectory
    }
}
