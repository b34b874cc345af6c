import ApusRecipes

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What the environment says of processes and devices, by the names that ms-swift and torchrun read.
enum Launch {
    private static let counts = ["NPROC_PER_NODE", "NNODES", "WORLD_SIZE", "LOCAL_WORLD_SIZE"]

    /// - Returns: A line for each variable that asks for what happens anyway, or for less than it says.
    /// - Throws: `UsageError` naming the variables that ask for several processes.
    static func check(_ environment: [String: String]) throws -> [String] {
        var notices: [String] = []
        var problems: [String] = []
        for name in counts {
            guard let value = environment[name], !value.isEmpty else { continue }
            if value != "1" {
                problems.append(
                    "\(name)=\(value): Apus computes in one process on one device. Unset it, or set it to 1; "
                        + "--gradient_accumulation_steps keeps the samples of a step that several devices would share.")
            } else if name == "NPROC_PER_NODE" {
                notices.append("\(name)=1 has no effect: Apus computes in one process.")
            }
        }
        guard problems.isEmpty else { throw UsageError(paragraphs: problems) }
        if let devices = environment["CUDA_VISIBLE_DEVICES"], devices.contains(",") {
            notices.append("CUDA_VISIBLE_DEVICES=\(devices): Apus computes on one device, the first of these.")
        }
        return notices
    }

    /// The width of the terminal; 100 where there is none.
    static func columns(_ environment: [String: String]) -> Int {
        if let columns = environment["COLUMNS"].flatMap({ Int($0) }), columns > 0 { return columns }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 100 }
        return Int(size.ws_col)
    }
}
