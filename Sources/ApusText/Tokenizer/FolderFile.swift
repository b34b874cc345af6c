import Foundation

/// A file of a model's folder, read whole.
enum FolderFile {
    /// A file of so many bytes is mapped: to copy it would cost as much as to read what it says.
    private static let largeSize = 1 << 20

    /// The bytes of a file.
    ///
    /// - Throws: `TokenizerError` where it cannot be read or is only the pointer that git-lfs left in its place.
    static func read(_ url: URL) throws -> Data {
        let data: Data
        do {
            let target = url.resolvingSymlinksInPath().path
            let size = try FileManager.default.attributesOfItem(atPath: target)[.size] as? Int ?? 0
            data = try Data(contentsOf: url, options: size >= largeSize ? .alwaysMapped : [])
        } catch {
            throw TokenizerError(url.path, "cannot be read: \(error.localizedDescription)")
        }
        guard !data.starts(with: "version https://git-lfs".utf8) else {
            throw TokenizerError(
                url.path,
                "is a git-lfs pointer, not the file itself: run `git lfs pull` in its folder, or download the file "
                    + "again")
        }
        return data
    }

    /// The bytes of a file, or nil where there is none.
    static func readIfThere(_ url: URL) throws -> Data? {
        FileManager.default.fileExists(atPath: url.path) ? try read(url) : nil
    }

    /// The text of a file, or nil where there is none.
    static func textIfThere(_ url: URL) throws -> String? {
        guard let data = try readIfThere(url) else { return nil }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw TokenizerError(url.path, "is not valid UTF-8")
        }
        return text
    }
}
