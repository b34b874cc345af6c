import ApusFiles
import Foundation

/// Whether a folder can be written, asked before there is any work to lose.
enum OutputPlace {
    /// Makes and removes a folder there, or in the nearest one above that exists: whatever forbids it says why.
    ///
    /// - Parameter option: The option that named the folder, or a file in it.
    static func check(_ output: String, _ option: String) throws {
        var folder = output
        var isFolder: ObjCBool = false
        while !FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), folder != "/", folder != "." {
            folder = FilePath.parent(of: folder)
        }
        guard isFolder.boolValue else {
            throw SettingsError("--\(option) \(output): \(folder) is a file, not a folder. Give another folder.")
        }
        let files = LocalFileSystem()
        let probe = FilePath.join(folder, ".apus-\(UUID().uuidString)")
        do {
            try files.createDirectory(probe)
            try files.removeDirectory(probe)
        } catch let error as FileError {
            throw SettingsError(
                "--\(option) \(output): nothing can be written in \(folder): \(String(cString: strerror(error.code))). "
                    + "Give another folder, or change its permissions.")
        }
    }
}
