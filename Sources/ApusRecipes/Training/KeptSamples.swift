import ApusDatasets
import ApusFiles
import ApusJSON
import ApusRunLog
import ApusText
import ApusWeights
import Foundation

extension TrainingInputs {
    /// Where rows that an earlier run encoded in the same way are found; nil where they are encoded in any case.
    ///
    /// - Throws: `FileError` for a file of the model that cannot be read.
    func sampleCache() throws -> SampleCache? {
        guard settings.data.loadFromCacheFile else { return nil }
        let record = settings.record
        var options = JSONObject()
        for name in EncodingSettings.fields.map(\.name) + DataSettings.rowOptions { options[name] = record[name] }
        let origin: JSONValue = [
            "apus": .string(ApusVersion.current), "task": .string(settings.taskType.rawValue),
            "model": .object(try source.textDigests()), "date": text.date.map { .string($0) } ?? .null,
            "options": .object(options),
        ]
        return SampleCache(folder: surroundings.sampleFolder, origin: origin.serialized(sortedKeys: true)) {
            [console] in console.print($0)
        }
    }
}

extension DataSettings {
    /// The options that decide what is read of a row.
    static let rowOptions = [
        "columns", "prompt_format", "disable_auto_column_mapping", "model_name", "model_author",
    ]
}

extension ModelSource {
    private static let weightEndings = [
        ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf",
    ]

    /// The SHA-256 of every file that a tokenizer, a template or a limit could be read from.
    fileprivate func textDigests() throws -> JSONObject {
        if case .gguf(let model) = form {
            var hash = DigestHasher()
            hash.update("\(try GGUFTokenizerMetadata(model.file))")
            hash.update(model.config.serialized(sortedKeys: true))
            return ["gguf": .string(hash.finish().sha256)]
        }
        var digests = JSONObject()
        for (folder, ending) in [(path, ""), ("\(path)/additional_chat_templates", ".jinja")] {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: folder))?.sorted() ?? [] {
                var isFolder: ObjCBool = false
                let file = FilePath.join(folder, name)
                guard name.hasSuffix(ending), !Self.weightEndings.contains(where: name.lowercased().hasSuffix),
                    FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), !isFolder.boolValue
                else { continue }
                digests[name] = .string(try LocalFileSystem().digest(of: file).sha256)
            }
        }
        return digests
    }
}
