import Foundation

/// A file or folder of the fixtures beside the checkout, or `nil` where this machine has none.
func sharedFixtures(_ path: String) -> URL? {
    var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    while folder.path != "/" {
        let fixtures = folder.appendingPathComponent("shared/fixtures")
        if FileManager.default.fileExists(atPath: fixtures.appendingPathComponent("SOURCES.md").path) {
            let url = fixtures.appendingPathComponent(path)
            return FileManager.default.fileExists(atPath: url.path) ? url : nil
        }
        folder.deleteLastPathComponent()
    }
    return nil
}
