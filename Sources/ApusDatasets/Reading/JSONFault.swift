import ApusJSON

/// What is wrong with a row that is not JSON, and what to do.
enum JSONFault {
    static func text(_ error: JSONError) -> String {
        let text = "not valid JSON at column \(error.column): \(error.message)"
        if error.message.contains("UTF-8") { return text + "; save the file as UTF-8" }
        if error.column == 1, error.message.hasSuffix("'<'") {
            return text + "; is it a web page? Open the file to read why, and download the data again"
        }
        return text + "; correct the row"
    }
}
