import Foundation

/// A path below the fixtures that lie beside the checkout, or `nil` where there are none.
func sharedFixtures(_ path: String) -> URL? {
    var folder = URL(filePath: #filePath)
    while folder.path != "/" {
        folder.deleteLastPathComponent()
        let shared = folder.appending(path: "shared/fixtures")
        if FileManager.default.fileExists(atPath: shared.appending(path: "SOURCES.md").path) {
            return shared.appending(path: path)
        }
    }
    return nil
}

/// A file of `Tests/Fixtures`.
func fixture(_ path: String) -> URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures").appending(path: path)
}
