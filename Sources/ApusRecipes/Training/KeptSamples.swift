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
    /// - Parameter further: What decides how rows are read beside the options of all tasks.
    func sampleCache(with further: JSONObject = JSONObject()) -> SampleCache? {
        guard settings.data.loadFromCacheFile else { return nil }
        return SampleCache(
            folder: surroundings.sampleFolder, origin: { try sampleOrigin(further) },
            say: { [console] in console.print($0) })
    }

    /// Everything beside the rows that decides what an encoder makes of them.
    ///
    /// - Throws: `FileError` for a file of the program or the model that cannot be read.
    private func sampleOrigin(_ further: JSONObject) throws -> String {
        let record = settings.record
        var options = JSONObject()
        for name in EncodingSettings.fields.map(\.name) + DataSettings.rowOptions { options[name] = record[name] }
        let origin: JSONValue = [
            "program": .string(try ProgramFile.digest.get()), "task": .string(settings.taskType.rawValue),
            "model": .object(try source.textDigests()), "date": text.date.map { .string($0) } ?? .null,
            "options": .object(options), "further": .object(further),
        ]
        return origin.serialized(sortedKeys: true)
    }
}

/// The program that runs.
private enum ProgramFile {
    /// Its SHA-256: of two programs of one version either may encode otherwise than the other.
    static let digest = Result { try LocalFileSystem().digest(of: path).sha256 }

    private static var path: String {
        #if os(Linux)
            // What runs, also where another build has taken its place in the meantime.
            "/proc/self/exe"
        #else
            Bundle.main.executablePath ?? CommandLine.arguments[0]
        #endif
    }
}

extension DataSettings {
    /// The options that decide what is read of a row.
    static let rowOptions = [
        "columns", "prompt_format", "disable_auto_column_mapping", "model_name", "model_author",
    ]
}

extension ModelSource {
    /// The endings of files that a tokenizer, a template or a description of a model is read from.
    private static let textEndings = [".json", ".jinja", ".txt", ".model", ".tiktoken"]
    /// Files with such endings that say nothing of texts.
    private static let otherFiles: Set<String> = [
        "trainer_state.json", "args.json", DirectoryManifest.fileName, "generation_config.json",
    ]

    /// The SHA-256 of every file that a tokenizer, a template or a limit could be read from, by its path in the folder.
    ///
    /// - Throws: `FileError` for one that cannot be read.
    func textDigests() throws -> JSONObject {
        if case .gguf(let model) = form {
            var hash = DigestHasher()
            hash.update("\(try GGUFTokenizerMetadata(model.file))")
            hash.update(model.config.serialized(sortedKeys: true))
            return ["gguf": .string(hash.finish().sha256)]
        }
        var digests = JSONObject()
        // The two are one but for older sentence encoders.
        for (folder, prefix) in [(root, "root/"), (path, "")] where prefix.isEmpty || root != path {
            try Self.digest(folder, as: prefix, into: &digests)
            try Self.digest(
                FilePath.join(folder, "additional_chat_templates"), as: prefix + "additional_chat_templates/",
                into: &digests)
        }
        return digests
    }

    private static func digest(_ folder: String, as prefix: String, into digests: inout JSONObject) throws {
        let files = FileManager.default
        guard files.fileExists(atPath: folder) else { return }
        for name in try LocalFileSystem().contentsOfDirectory(folder) {
            let file = FilePath.join(folder, name)
            guard textEndings.contains(where: name.hasSuffix), !name.hasSuffix(".index.json"),
                !otherFiles.contains(name),
                // The caches of hubs hold links. What is no file, such as a pipe, is not read by a tokenizer either.
                let kind = try? files.attributesOfItem(atPath: URL(filePath: file).resolvingSymlinksInPath().path)[
                    .type] as? FileAttributeType, kind == .typeRegular
            else { continue }
            digests[prefix + name] = .string(try LocalFileSystem().digest(of: file).sha256)
        }
    }
}
