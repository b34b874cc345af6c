import ApusRecipes
import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// libtorch, which takes longer to load than most commands take to run.
///
/// The program starts with libraries that stand in for it and define the same symbols (`Scripts/light-engine`). A
/// command that computes replaces the process by one of the same words that loads libtorch itself.
enum Engine {
    /// Makes sure that libtorch is loaded; where it is not, this process ends here and begins anew.
    ///
    /// To be called before anything is printed or read.
    ///
    /// - Throws: `SettingsError` when libtorch is not where the program was told.
    static func start() throws {
        guard let folder = missing else { return }
        guard FileManager.default.fileExists(atPath: "\(folder)/libtorch_cpu.so") else {
            throw SettingsError("libtorch is not in \(folder). `make setup` in the folder of Apus puts it there.")
        }
        let path = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] ?? ""
        guard !path.hasPrefix(folder) else {
            throw SettingsError("libtorch in \(folder) cannot be loaded. Remove that folder and run `make setup`.")
        }
        setenv("LD_LIBRARY_PATH", path.isEmpty ? folder : "\(folder):\(path)", 1)
        let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        execv(program, CommandLine.unsafeArgv)
        execv("/proc/self/exe", CommandLine.unsafeArgv)
        throw SettingsError("\(program) cannot be started again with libtorch: \(String(cString: strerror(errno))).")
    }

    /// Lets a function of libtorch that is called unforeseen load it after all.
    static func prepare() {
        #if os(Linux)
            guard let hook = dlsym(nil, "apus_engine_hook") else { return }
            let restart: @convention(c) () -> Void = {
                do { try Engine.start() } catch { Console.error("\(error)") }
            }
            hook.assumingMemoryBound(to: (@convention(c) () -> Void)?.self).pointee = restart
        #endif
    }

    /// Where libtorch lies, unless it is loaded.
    private static var missing: String? {
        #if os(Linux)
            return dlsym(nil, "apus_engine_folder").map { String(cString: $0.assumingMemoryBound(to: CChar.self)) }
        #else
            return nil
        #endif
    }
}
