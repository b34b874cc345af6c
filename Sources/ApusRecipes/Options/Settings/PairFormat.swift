import ApusDatasets

extension PairFormat {
    /// - Throws: `SettingsError` when a text has no place.
    static func check(_ format: String) throws {
        guard format.contains("{text1}"), format.contains("{text2}") else {
            throw SettingsError(
                "--pair_format: got \"\(format)\", wanted a text with {text1} and {text2} in it, such as "
                    + "\"{text1}\\n{text2}\".")
        }
    }
}
