import ApusHub
import Foundation

/// Adapters of a hub in the words of a command.
package enum HubAdapters {
    /// The line with the folders of such adapters in place of their ids, fetched where they are not there.
    ///
    /// They are needed before all else, because settings come from the `args.json` beside them.
    ///
    /// - Throws: `HubError` for one that cannot be had.
    package static func fetched(_ line: ArgumentLine, environment: [String: String]) throws -> ArgumentLine {
        guard case .list(let adapters)? = line["adapters"], adapters.contains(where: isID) else { return line }
        var settings = HubSettings()
        if case .boolean(let usesHuggingFace)? = line["use_hf"] { settings.useHuggingFace = usesHuggingFace }
        if case .text(let token)? = line["hub_token"] { settings.token = token }
        let hub = HubAccess(
            settings, Surroundings(environment: environment), showsProgress: line["disable_tqdm"] != .boolean(true))
        let folders = try adapters.map {
            isID($0) ? try hub.model($0, need: .weights, flag: "--adapters") : $0
        }
        var line = line
        line.set("adapters", .list(folders), origin: line.arguments["adapters"]?.origin ?? .commandLine)
        return line
    }

    private static func isID(_ name: String) -> Bool {
        let (hub, id) = Hub.split(name)
        return !FileManager.default.fileExists(atPath: name) && (hub != nil || id.contains("/"))
            && !HubAccess.isPath(id)
            && Repository(id, kind: .model, on: .huggingFace) != nil
    }
}
