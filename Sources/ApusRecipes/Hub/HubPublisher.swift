import ApusFiles
import ApusHub
import ApusJSON
import ApusLanguageModel
import Foundation

/// Publishes what a command has written.
struct HubPublisher {
    private let hub: HubAccess
    private let repository: Repository
    private let message: String?

    /// Makes sure that there is a place to publish to before hours of work, and makes the repository.
    ///
    /// - Parameters:
    ///   - name: What is published is called so where the settings say nothing.
    ///   - surroundings: Have to reach the hubs.
    /// - Throws: `SettingsError`, `HubError`.
    init(_ settings: HubSettings, name: String, surroundings: Surroundings) throws {
        guard let hub = surroundings.hub else {
            throw SettingsError("--push_to_hub true: this program does not reach the hubs.")
        }
        self.hub = hub
        message = settings.commitMessage
        let (place, given) = Hub.split(settings.modelID ?? name)
        let target = place ?? hub.preferred
        let client = HubClient(hub.configuration)
        let user = try HubClient.waiting { try await client.user(of: target) }
        let id = given.contains("/") ? given : "\(user)/\(given)"
        guard let repository = Repository(id, kind: .model, on: target) else {
            throw SettingsError(
                "--hub_model_id \(id): is no id. Give one of letters, digits, \".\", \"_\" and \"-\", such as \(user)/my-model."
            )
        }
        self.repository = repository
        let isPrivate = settings.isPrivate
        try HubClient.waiting { try await client.create(repository, owner: user, isPrivate: isPrivate) }
    }

    /// The state of a run and the records of this machine, which serve nobody else.
    private static let left: Set<String> = [
        "MANIFEST.json", "optimizer.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin",
        "scaler.pt", "trainer_state.json", "apus_state.json", ".lock",
    ]

    /// Publishes a folder with its card.
    ///
    /// - Parameters:
    ///   - base: The model that it was made of, for a card where there is none.
    ///   - what: What was done, for the message of the commit.
    func publish(_ folder: String, base: String?, what: String) throws {
        var uploads: [UploadFile] = []
        try collect(folder, "", into: &uploads)
        if repository.hub == .modelScope, !uploads.contains(where: { $0.path == "configuration.json" }) {
            uploads.append(UploadFile(path: "configuration.json", content: .bytes(Data(Self.configuration.utf8))))
        }
        let card = (try? String(contentsOfFile: "\(folder)/README.md", encoding: .utf8)) ?? Self.card(base)
        uploads.append(UploadFile(path: "README.md", content: .bytes(Data(Self.publishable(card).utf8))))
        let (client, view) = hub.client(for: repository)
        defer { view.finish() }
        let (repository, message) = (repository, message ?? what)
        let files = uploads
        do {
            let publication = try HubClient.waiting {
                try await client.publish(files, to: repository, message: message)
            }
            view.finish()
            let commit = publication.commit.isEmpty ? "" : " (commit \(publication.commit.prefix(12)))"
            hub.print("published: \(publication.address)\(commit)")
        } catch let error as HubError {
            throw HubError(
                error.kind,
                "\(error.description) The files are in \(folder); `apus export --model \(folder) --push_to_hub true --use_hf \(repository.hub == .huggingFace) "
                    + "--hub_model_id \(repository.id)` publishes them.")
        }
    }

    private func collect(_ folder: String, _ below: String, into uploads: inout [UploadFile]) throws {
        for name in try LocalFileSystem().contentsOfDirectory(FilePath.join(folder, below)) {
            guard !name.hasPrefix("."), !Self.left.contains(name), !name.hasPrefix("state."), name != "README.md" else {
                continue
            }
            let path = FilePath.join(below, name)
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: "\(folder)/\(path)", isDirectory: &isFolder) else { continue }
            if name == "args.json" {
                // Another program may have recorded a token there.
                let record = FileManager.default.contents(atPath: "\(folder)/\(path)")
                guard let told = record.flatMap(Secrets.removed(fromRecord:)) else { continue }
                uploads.append(UploadFile(path: path, content: .bytes(told)))
            } else if !isFolder.boolValue {
                uploads.append(UploadFile(path: path, content: .file("\(folder)/\(path)")))
            } else if !name.hasPrefix("checkpoint-"), name != "state" {
                try collect(folder, path, into: &uploads)
            }
        }
    }

    /// What ModelScope reads of a model, as ms-swift writes it.
    private static let configuration =
        #"{"framework": "pytorch", "task": "text-generation", "allow_remote": true}"#

    static func card(_ base: String?) -> String {
        """
        ---
        \(base.map { "base_model: \(ModelCard.scalar($0))\n" } ?? "")library_name: transformers
        tags:
        - apus
        ---

        # A model made with Apus

        """
    }

    /// The card without a base model that only this machine knows, which the hub would refuse.
    static func publishable(_ card: String) -> String {
        card.split(omittingEmptySubsequences: false) { ["\n", "\r\n"].contains($0) }.filter { line in
            guard line.hasPrefix("base_model: ") else { return true }
            let written = line.dropFirst("base_model: ".count).trimmingCharacters(in: .whitespaces)
            // In quotes where YAML could take it for anything else, as an id that begins with a digit.
            let id = (try? JSONValue(parsing: written))?.stringValue ?? written
            return id.contains("/") && Repository(id, kind: .model, on: .huggingFace) != nil
        }.joined(separator: "\n")
    }
}
