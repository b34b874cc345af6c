/// Which hub models and data sets come from, and what may be done there.
package struct HubSettings: Sendable {
    /// Whether Hugging Face is meant where a name does not say which hub; nil asks `USE_HF`, else it is ModelScope.
    package var useHuggingFace: Bool?
    /// A token of the hub; nil takes the one of the environment.
    ///
    /// It is written into no file.
    package var token: String?
    /// The branch, tag or commit of the model; nil takes the main branch.
    package var modelRevision: String?
    /// Whether what the command writes is published.
    package var push = false
    /// The id to publish under; nil takes the user's name and that of the folder.
    package var modelID: String?
    /// Whether a repository that is made for it can be seen by its owner alone.
    package var isPrivate = false
    /// The message of the commit.
    package var commitMessage: String?

    package init() {}
}

extension HubSettings: SettingsPart {
    package static let fields: [SettingsField<HubSettings>] = [
        SettingsField("use_hf", \.useHuggingFace),
        SettingsField("hub_token", \.token),
        SettingsField("model_revision", \.modelRevision),
        SettingsField("push_to_hub", \.push),
        SettingsField("hub_model_id", \.modelID),
        SettingsField("hub_private_repo", \.isPrivate),
        SettingsField("commit_message", \.commitMessage),
    ]

    /// What is no one's business beside the run's.
    static let secrets: Set<String> = ["hub_token"]
}
