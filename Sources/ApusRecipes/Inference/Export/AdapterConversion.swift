import ApusAdapters
import ApusFiles
import ApusJSON
import ApusWeights
import Foundation

/// Writes what an adapter has changed since its start as a plain one, PEFT's `path_initial_model_for_weight_conversion`; the
/// start follows from the base model.
struct AdapterConversion {
    let settings: ExportSettings
    let surroundings: Surroundings

    /// - Returns: The folder that was written.
    func callAsFunction() throws -> String {
        let output = settings.outputDirectory
        let adapted = try AdaptedModel(settings.model, device: settings.hardware.chosen, surroundings: surroundings)
        guard let adapter = adapted.attached.first, let path = settings.model.adapters.first else { return output }
        let (tensors, configuration) = try adapter.change()
        let folder = try AtomicDirectory(output)
        try SafetensorsWriter.write(
            tensors.map { WeightSource($0.name, $0.tensor) }, to: folder.path(for: AdapterFiles.weightsName))
        try folder.write(Data(configuration.utf8), as: AdapterFiles.configurationName)
        // Another program may have recorded a token there.
        let arguments = FileManager.default.contents(atPath: "\(path)/args.json").flatMap(Secrets.removed(fromRecord:))
        if let arguments { try folder.write(arguments, as: "args.json") }
        try folder.commit(identity: ["converted": .string(path)])
        return output
    }
}
