/// The version of Apus, which `--version` shows and a run's `args.json` records.
package enum ApusVersion {
    package static let current = "0.1.0"
}
