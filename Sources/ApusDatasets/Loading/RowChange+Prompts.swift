extension RowChange {
    /// The words around what a row says, as ms-swift's registry has them.
    enum Prompts {
        static let similarity = """
            Task: Based on the given two sentences, provide a similarity score between 0.0 and 1.0.
            Sentence 1: {text1}
            Sentence 2: {text2}
            Similarity score:\u{20}
            """

        static func advertisement(_ keywords: String) -> String {
            "Task: Generating advertisements based on keywords.\nKeywords: \(keywords)\nAdvertisements:"
        }

        static func classification(_ task: String, _ texts: KeyValuePairs<String, String>, _ names: [String]) -> String
        {
            let lines = texts.map { "\($0): \($1)" }.joined(separator: "\n")
            return "Task: \(task)\n\(lines)\nCategory: \(names.joined(separator: ", "))\nOutput:"
        }

        static func question(context: String, answer: String) -> String {
            "Task: Question Generation\nContext: \(context)\nAnswer: \(answer)\nQuestion:"
        }

        static func sudoku(_ puzzle: String) -> String {
            "Solve the following 9x9 Sudoku puzzle. Empty cells are marked with '0'. "
                + "Provide the completed grid as your answer.\n\nPuzzle:\n\(puzzle)"
        }

        static func countdown(numbers: String, target: String) -> String {
            "Using the numbers \(numbers), create an equation that equals \(target).\n"
                + "You can use basic arithmetic operations (+, -, *, /) and each number can only be used once.\n"
                + "Show your work in <think> </think> tags. And return the final equation and answer in <answer> </answer> "
                + "tags, for example <answer> (1 + 2) / 3 * 4 = 4 </answer>."
        }
    }
}
