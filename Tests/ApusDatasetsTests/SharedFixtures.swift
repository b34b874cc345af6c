import Foundation

/// A file or folder of the fixtures that lie beside the checkout, or `nil` when they are not there.
func sharedFixtures(_ path: String) -> URL? {
    var folder = URL(filePath: #filePath).deletingLastPathComponent()
    while folder.path != "/" {
        let fixtures = folder.appending(path: "shared/fixtures")
        if FileManager.default.fileExists(atPath: fixtures.appending(path: "SOURCES.md").path) {
            return fixtures.appending(path: path)
        }
        folder.deleteLastPathComponent()
    }
    return nil
}
