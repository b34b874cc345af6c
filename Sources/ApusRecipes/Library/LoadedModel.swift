package import ApusAdapters
import ApusDatasets
import ApusFiles
package import ApusJSON
import ApusLanguageModel
import ApusNN
package import ApusText
package import ApusTorch
import ApusTraining
import Foundation

/// A model for programs: what the commands do with one, without their settings and their words.
package final class LoadedModel {
    private let adapted: AdaptedModel
    private var attached: [AttachedAdapter]
    private let name: String
    /// For which `~` stands in paths.
    private let home: String
    /// Whether texts that are classified go through the chat template, as in training.
    private let usesTemplate: Bool

    private var parts: TextParts?

    /// What the model was trained with, as `apus infer` takes it from its folder.
    private let settings: InferSettings
    /// What was said on loading and since.
    package private(set) var notices: [String]

    /// - Parameters:
    ///   - name: A model's folder, file or id, or the folder of an adapter, which names its model.
    ///   - environment: `HOME`, for which `~` stands in paths, and where the caches of the hubs are.
    package init(_ name: String, dtype: DType?, device: Device, environment: [String: String] = [:]) throws {
        home = HomeFolder.path(environment)
        let name = HomeFolder.expand(name, home: home)
        self.name = name
        let isAdapter = FileManager.default.fileExists(atPath: "\(name)/\(AdapterFiles.configurationName)")
        let line = try ArgumentLine([isAdapter ? "--adapters" : "--model", name], for: .infer)
        var notices: [String] = []
        var settings = try InferSettings(line, notices: &notices)
        if let dtype { settings.model.torchDType = dtype }
        adapted = try AdaptedModel(settings.model, device: device, surroundings: Surroundings(environment: environment))
        self.settings = settings
        self.notices = notices + adapted.notices
        attached = adapted.attached
        let arguments = FileManager.default.contents(atPath: "\(name)/args.json")
        usesTemplate =
            try arguments.map { try JSONValue(parsing: $0) }?["use_chat_template"]?.boolValue ?? false
    }

    package func answer(
        _ messages: [Message], maximumTokens: Int?, temperature: Double?, topK: Int?, topP: Double?, seed: Int,
        onText: (String) -> Bool
    ) throws -> String {
        guard let language = (adapted.form as? LoadedLanguage)?.language else { throw unable("continue text") }
        var settings = settings
        settings.generation.maxNewTokens = maximumTokens
        settings.generation.temperature = temperature
        settings.generation.topK = topK
        settings.generation.topP = topP
        settings.model.seed = seed
        try settings.checkRanges(of: ["max_new_tokens", "temperature", "top_k", "top_p"])
        let answering = try Answering(settings, language: language)
        notices += answering.notices.filter { !notices.contains($0) }
        let answers = try answering.answers(to: [answering.prompt(messages)], draws: [0]) { onText($1) }
        return try answers[0].checked().text
    }

    package func vectors(_ texts: [String]) throws -> [[Double]] {
        guard let form = adapted.form as? LoadedEmbedder else { throw unable("make vectors of texts") }
        let (model, files) = (form.embedder.model, form.files)
        let parts = try text(for: model, settings.encoding)
        let embedder = files.embedder(model, promptOf: parts.tokenizer)
        let encoder = SequenceEncoder(settings.encoding, text: parts, model: model, files: files, usesPrompt: true)
        return try inGroups(texts) { group in
            let batch = TokenBatch(try group.map { try encoder.fitted(encoder.encode(.text($0))).ids })
            return try embedder(batch, model.context(for: batch)).rows().map { try $0.checked() }
        }
    }

    /// What a classifier says of each text or pair: the answer, and the probability of each class.
    package func judgements(
        _ texts: [(first: String, second: String?)]
    ) throws -> [(answer: JSONValue, probabilities: JSONValue?)] {
        guard let form = adapted.form as? LoadedClassifier else { throw unable("classify texts") }
        let (model, labels) = (form.classifier, form.scheme)
        var settings = settings.encoding
        settings.useChatTemplate = usesTemplate
        let encoder = SequenceEncoder(settings, text: try text(for: model, settings), model: model)
        return try inGroups(texts) { group in
            let encoded = try group.map { text in
                try encoder.fitted(
                    encoder.encode(LabelledRow(text.second.map { .pair(text.first, $0) } ?? .text(text.first))))
            }
            let batch = TokenBatch(encoded.map(\.ids), segments: encoded.map(\.segments))
            return try model.scores(batch, model.context(for: batch)).rows().map {
                let prediction = Prediction(try $0.checked(), labels)
                return (prediction.answer, prediction.probabilities)
            }
        }
    }

    /// For each mask of a text the likeliest tokens with their probabilities, the best first.
    package func fillings(of text: String, count: Int) throws -> [[(token: String, probability: Double)]] {
        guard let form = adapted.form as? LoadedMaskFiller else { throw unable("fill in masks") }
        let reader = try MaskReader(form.filler, of: adapted.source)
        return try reader.candidates(reader.read(text, limit: nil), count: count).map { candidates in
            candidates.map { ($0.token, $0.probability) }
        }
    }

    package func attach(_ folder: String, named adapter: String, by own: OwnMethod? = nil) throws {
        let folder = HomeFolder.expand(folder, home: home)
        let model = adapted.form.model
        let method: any AdapterMethod =
            try own.map { try OwnConfiguration($0, in: folder) } ?? AdapterFiles.method(in: folder)
        let part = try method.attach(
            to: model, named: adapter, heads: model.headNames, trunk: model.trunk.name)
        do {
            try part.checkLayers(beside: attached)
            try checkBase(of: [part], amongst: model.trunk.activeAdapters)
            try part.load(from: folder, device: model.device)
        } catch {
            part.detach()
            throw error
        }
        attached.append(part)
    }

    /// Refuses to leave out adapters that the model itself is not there without.
    private func checkBase(of adapters: [AttachedAdapter], amongst active: AdapterSelection) throws {
        guard let left = adapters.first(where: { !$0.leavesBase && !active.contains($0.name) }) else { return }
        throw AdapterError(
            "the adapter \(left.name) has parts of the model itself beside its own, or was taken out of them, so that without it "
                + "the model is not there any more. Let it take part (activate), or load the model again without it.")
    }

    package var adapterNames: [String] { attached.map(\.name) }

    /// Which adapters take part from now on; nil is all that there are.
    package func activate(_ names: [String]?) throws {
        for name in names ?? [] { _ = try adapter(name) }
        let chosen = names.map { AdapterSelection.only(Set($0)) } ?? .all
        try checkBase(of: attached, amongst: chosen)
        adapted.form.model.trunk.activeAdapters = chosen
    }

    /// Hangs on an adapter made of others, by the name of one of PEFT's ways.
    package func combine(
        _ weights: [(name: String, weight: Double)], as name: String, by kind: String, density: Double?
    ) throws {
        guard let kind = AdapterCombination.Kind(rawValue: kind) else {
            let known = AdapterCombination.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw AdapterError("\(kind) is no way to combine adapters; there are \(known)")
        }
        var combination = AdapterCombination(kind, weights: weights.map(\.weight))
        combination.density = density
        attached.append(
            try combination(weights.map { try adapter($0.name) }, on: adapted.form.model, named: name))
        if case .only(let names) = adapted.form.model.trunk.activeAdapters {
            adapted.form.model.trunk.activeAdapters = .only(names.union([name]))
        }
    }

    /// Writes an adapter as PEFT's files.
    package func saveAdapter(_ name: String, to path: String) throws {
        let adapter = try adapter(name)
        let folder = try AtomicDirectory(place(path))
        try adapter.write(into: folder)
        try folder.commit(identity: ["saved": .string(name)])
    }

    private func adapter(_ name: String) throws -> AttachedAdapter {
        guard let found = attached.first(where: { $0.name == name }) else {
            let names = attached.map(\.name).joined(separator: ", ")
            throw AdapterError("there is no adapter named \(name); there is \(names.isEmpty ? "none" : names)")
        }
        return found
    }

    package func merge() throws {
        let active = adapted.form.model.trunk.activeAdapters
        for part in attached where active.contains(part.name) {
            try part.merge()
            // One that cannot be merged leaves those before it in the weights.
            attached.removeAll { $0.name == part.name }
        }
    }

    /// Writes the model as a Hugging Face folder.
    package func save(to folder: String) throws {
        guard attached.isEmpty else {
            throw ModelError(
                "\(name) has adapters on it; merge them first, and the folder holds what the model computes")
        }
        try adapted.write(
            to: place(folder), arguments: nil, shardSize: nil, identity: ["saved": .string(name)])
    }

    /// The tokenizer and the template that texts which are not continued were trained with; read once.
    private func text(for model: any TextModel, _ encoding: EncodingSettings) throws -> TextParts {
        if let parts { return parts }
        let read = try TextParts(adapted.source, of: model, encoding)
        notices += read.notices.filter { !notices.contains($0) }
        parts = read
        return read
    }

    /// Where something is saved: nothing is there yet, or what a program saved there before and nothing else, which is replaced.
    private func place(_ path: String) throws -> String {
        let path = HomeFolder.expand(path, home: home)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        guard !names.isEmpty else { return path }
        let text = FileManager.default.contents(atPath: FilePath.join(path, DirectoryManifest.fileName))
        let manifest = text.flatMap { try? DirectoryManifest(parsing: Array($0)) }
        let saved = (manifest?.files.keys).map {
            Set($0.compactMap { $0.split(separator: "/").first.map(String.init) })
        }
        guard manifest?.identity["saved"] != nil, let saved,
            names.allSatisfy({ saved.contains($0) || $0 == DirectoryManifest.fileName })
        else { throw ModelError("\(path) holds other files, which would be lost. Name another folder, or remove it.") }
        return path
    }

    private func unable(_ what: String) -> ModelError {
        ModelError("\(name) is a \(adapted.form.model.architecture), which does not \(what)")
    }

    private func inGroups<Input, Output>(_ all: [Input], _ body: ([Input]) throws -> [Output]) throws -> [Output] {
        try withoutGradients {
            try stride(from: 0, to: all.count, by: 32).flatMap { try body(Array(all[$0..<min($0 + 32, all.count)])) }
        }
    }
}
