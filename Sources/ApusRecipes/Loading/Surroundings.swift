import ApusFiles
import ApusHub
import ApusLanguageModel
import Foundation

/// What a run may know of the process around it.
///
/// The command line fills it in; nothing below reads the environment.
package struct Surroundings: Sendable {
    /// The environment variables.
    package var environment: [String: String]
    /// The words that started the program, for the records of a run.
    package var commandLine: [String]
    /// Whether models and data sets that are not on this machine are fetched, which shows progress on standard error.
    package var reachesHubs = false
    /// The file of settings that a run was started with, which it keeps beside its records.
    package var settingsFile: SettingsCopy?
    /// How the hubs are reached; nil looks into the caches alone.
    var hub: HubAccess?

    package init(environment: [String: String] = [:], commandLine: [String] = []) {
        self.environment = environment
        self.commandLine = commandLine
    }
}

extension Surroundings {
    /// The same, from where the hubs are reached if they may be.
    func reaching(_ settings: HubSettings, showsProgress: Bool = true) -> Surroundings {
        guard reachesHubs else { return self }
        var surroundings = self
        surroundings.hub = HubAccess(settings, self, showsProgress: showsProgress)
        return surroundings
    }

    /// Where encoded rows are kept: in the cache of data sets that `HF_DATASETS_CACHE` names, else in the user's.
    var sampleFolder: String {
        let home = HomeFolder.path(environment)
        func value(_ name: String) -> String? {
            environment[name].flatMap { $0.isEmpty ? nil : HomeFolder.expand($0, home: home) }
        }
        return value("HF_DATASETS_CACHE").map { "\($0)/apus" }
            ?? "\(value("XDG_CACHE_HOME") ?? HomeFolder.expand("~/.cache", home: home))/apus/samples"
    }

    /// The folder of a model of a hub.
    ///
    /// - Throws: `ModelError` or `HubError` when there is none.
    func modelFolder(_ name: String, need: HubCache.Need) throws -> String {
        if let hub { return try hub.model(name, need: need) }
        let configuration = HubConfiguration(environment: environment)
        let cache = HubCache(configuration)
        let (hub, id) = Hub.split(name)
        if let folder = cache.folder(of: id, hubs: hub.map { [$0] } ?? Hub.allCases, need: need) { return folder }
        guard name.contains("/"), Repository(id, kind: .model, on: hub ?? .huggingFace) != nil else {
            throw ModelError(HubAccess.isNowhere(name, "--model", on: hub ?? .huggingFace))
        }
        throw ModelError(
            "--model \(name): there is no such file or folder, and no model of that id in the local caches "
                + "(\(cache.searched.joined(separator: ", "))). `apus download \(name)` fetches it from a hub.")
    }
}
