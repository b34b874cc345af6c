import ApusJSON
import Foundation
import Testing

@testable import ApusRewards

/// Rewards of somebody's program: what it is asked, and what becomes of every way in which it can fail.
struct ProgramRewardTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "apus-reward-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func program(_ text: String, name: String = "score.sh") throws -> String {
        let file = folder.appending(path: name)
        try Data(text.utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
        return file.path
    }

    private func reward(_ name: String, seconds: Double = 20) throws -> any RewardFunction {
        var options = RewardOptions()
        options.timeout = seconds
        options.environment = ProcessInfo.processInfo.environment
        return try #require(RewardFunctions.named([name], options: options).first)
    }

    private func answers(_ texts: String...) -> [Completion] {
        texts.map {
            Completion(
                messages: [["role": "user", "content": "Wie geht's?\n"]], text: $0, tokens: [7, 8], isTruncated: true,
                columns: ["solution": "gut", "level": 3])
        }
    }

    /// The message for a program that fails.
    private func failure(
        _ program: String, seconds: Double = 20, _ answers: [Completion]? = nil
    ) throws -> String {
        let reward = try reward(self.program(program), seconds: seconds)
        let error = #expect(throws: RewardError.self) {
            try reward.rewards(of: answers ?? self.answers("first", "second"))
        }
        return error?.description ?? ""
    }

    @Test func pythonProgram() throws {
        let path = try program(
            """
            #!/usr/bin/env python3
            import json, sys
            for line in sys.stdin:
                row = json.loads(line)
                assert row["messages"] == [{"role": "user", "content": "Wie geht's?\\n"}], row
                assert row["token_ids"] == [7, 8] and row["is_truncated"] is True and row["count"] == 3
                assert row["row"] == {"solution": "gut", "level": 3}
                print("null" if row["completion"] == "" else row["index"] + len(row["completion"]) / 4)
            """, name: "lengths.py")
        let reward = try reward(path)
        #expect(reward.name == "lengths")
        for _ in 0..<3 { #expect(try reward.rewards(of: answers("gut", "", "ä\n\"")) == [0.75, nil, 2.75]) }
        #expect(try reward.rewards(of: []) == [])
    }

    /// A program is called what it is, and not what it is given.
    @Test(arguments: [
        ("./score.py", "score"), ("bin/score", "score"), ("exec:./score --rules rules.json", "score"),
        ("exec:./score.py --rules /data/rules.json", "score"), ("exec:python3 score.py --fast a.json", "score"),
        ("exec:/usr/bin/python3.11 -u ./score.py rules.json", "score"), ("exec:sh 'one word.sh'", "one word"),
        ("exec:python3 -c 'print(1/2, file=x.y)'", "python3"), ("exec:python3", "python3"),
        ("exec:score --fast", "score"),
    ])
    func names(text: String, name: String) throws {
        #expect(try #require(ProgramCommand(text)).name == name)
    }

    @Test func wordsOfACommand() throws {
        _ = try program("while read line; do echo $1; done", name: "one word.sh")
        let reward = try reward("exec:sh '\(folder.path)/one word.sh' \"2.5\"")
        #expect(reward.name == "one word")
        #expect(try reward.rewards(of: answers("a", "b")) == [2.5, 2.5])
    }

    /// The program is started once, and answers a batch after it was read as a whole.
    @Test func batches() throws {
        let path = try program(
            """
            #!/usr/bin/env python3
            import json, os, sys
            rows = []
            for line in sys.stdin:
                rows.append(json.loads(line))
                if len(rows) == rows[-1]["count"]:
                    print("\\n".join(str(os.getpid()) for _ in rows), flush=True)
                    rows = []
            """)
        let reward = try reward(path)
        let processes = try (0..<3).flatMap { _ in try reward.rewards(of: answers("a", "b")) }
        #expect(Set(processes).count == 1 && processes.count == 6)
    }

    /// More than any pipe holds, in both directions, while the program writes errors too.
    @Test func largeBatches() throws {
        let path = try program(
            """
            #!/usr/bin/env python3
            import sys
            for line in sys.stdin:
                sys.stderr.write("x" * 100000)
                print(len(line))
            """)
        let text = String(repeating: "lang ", count: 100_000)
        let rewards = try reward(path).rewards(of: answers(text, text, text, "kurz"))
        #expect(rewards.count == 4 && rewards.prefix(3).allSatisfy { $0.map { $0 > 500_000 } ?? false })
    }

    @Test func oneCrashIsForgiven() throws {
        let mark = folder.appending(path: "mark").path
        let path = try program(
            """
            #!/bin/sh
            if ! [ -e \(mark) ]; then touch \(mark); exit 3; fi
            while read line; do echo 1; done
            """)
        #expect(try reward(path).rewards(of: answers("a", "b")) == [1, 1])
    }

    @Test func oneSilenceIsForgiven() throws {
        let mark = folder.appending(path: "mark").path
        let path = try program(
            """
            #!/bin/sh
            if ! [ -e \(mark) ]; then touch \(mark); sleep 60; fi
            while read line; do echo 1; done
            """)
        #expect(try reward(path, seconds: 1).rewards(of: answers("a", "b")) == [1, 1])
    }

    @Test func crashes() throws {
        let code = try failure("#!/bin/sh\nread line; echo 1; read line; echo no such file >&2; exit 3")
        #expect(code.contains("score.sh: ended with exit code 3 for completion 2 of 2 (\"second\")"), "\(code)")
        #expect(code.contains("It said:\nno such file (the second time). Try it by hand"), "\(code)")
        let signal = try failure("#!/bin/sh\nread line; kill -9 $$")
        #expect(signal.contains("ended with signal 9 for completion 1 of 2"), "\(signal)")
        let few = try failure("#!/bin/sh\nread line; echo 1; read line")
        #expect(few.contains("ended with exit code 0 for completion 2 of 2"), "\(few)")
    }

    /// A program that ended while its children hold its output open did not just fall silent.
    @Test func endsBeforeItsChildren() throws {
        let text = try failure("#!/bin/sh\nread line; echo 1; sleep 60 &\nexit 4", seconds: 0.5)
        #expect(text.contains("ended with exit code 4 for completion 2 of 2"), "\(text)")
    }

    @Test func silence() throws {
        let text = try failure("#!/bin/sh\nread line; echo 1; exec sleep 60", seconds: 0.5)
        #expect(text.contains("wrote nothing within 0.5 seconds for completion 2 of 2 (\"second\")"), "\(text)")
    }

    /// The limit is that of silence, and not of a batch: what answers again and again may take longer for all together.
    @Test func slowPrograms() throws {
        let slow = "#!/bin/sh\nwhile read line; do sleep 0.3; echo 1; done"
        let rewards = try reward(program(slow), seconds: 1).rewards(of: answers("a", "b", "c", "d", "e", "f"))
        #expect(rewards == [1, 1, 1, 1, 1, 1])
        let text = try failure(
            "#!/bin/sh\nfor i in 1 2; do read line; sleep 0.3; echo 1; done; exec sleep 60", seconds: 1,
            answers("a", "b", "c"))
        #expect(text.contains("wrote nothing within 1 seconds for completion 3 of 3"), "\(text)")
    }

    /// Nobody reads what is written; that ends neither this program nor the test.
    @Test func closedInput() throws {
        let long = [Completion(messages: [], text: String(repeating: "x", count: 1_000_000), tokens: [])]
        let text = try failure("#!/bin/sh\nexec <&-; exec sleep 60", long)
        #expect(text.contains("closed its standard input for completion 1 of 1"), "\(text)")
        let ended = try failure("#!/bin/sh\nexit 0", long)
        #expect(ended.contains("ended with exit code 0"), "\(ended)")
    }

    @Test(arguments: [
        ("good", "wrote \"good\" for completion 1 of 2"), ("", "wrote \"\" for completion 1 of 2"),
        ("nan", "wrote \"nan\" for completion 1 of 2"), ("-inf", "wrote \"-inf\" for completion 1 of 2"),
        ("1 2", "wrote \"1 2\" for completion 1 of 2"), ("1\n2\n3", "wrote \"3\" after the lines of all 2"),
        ("1\n2\n3,", "wrote \"3,\" after the lines of all 2"),
    ])
    func wordsInsteadOfNumbers(_ output: String, _ message: String) throws {
        let text = try failure("#!/bin/sh\nread a; read b; cat <<'EOF'\n\(output)\nEOF\nwhile read line; do :; done")
        #expect(text.contains(message), "\(text)")
        #expect(text.contains("wanted one number or null a line"))
    }

    /// One line more, written late, belongs to no answer of the next batch.
    @Test func numbersThatComeLate() throws {
        let (asked, said) = (folder.appending(path: "asked").path, folder.appending(path: "said").path)
        let reward = try reward(
            program(
                """
                #!/bin/sh
                read a; echo 1
                while ! [ -e \(asked) ]; do sleep 0.01; done
                echo 2; touch \(said)
                while read line; do echo 3; done
                """))
        #expect(try reward.rewards(of: answers("a")) == [1])
        try Data().write(to: URL(fileURLWithPath: asked))
        for _ in 0..<2000 where !FileManager.default.fileExists(atPath: said) { usleep(10_000) }
        try #require(FileManager.default.fileExists(atPath: said))
        let error = #expect(throws: RewardError.self) { try reward.rewards(of: answers("b")) }
        #expect(error?.description.contains("wrote \"2\" after the lines of all") == true)
    }

    /// A program does not get the streams of the programs beside it.
    @Test func streamsOfOtherPrograms() throws {
        let count = try program(
            """
            #!/usr/bin/env python3
            import os, sys
            for line in sys.stdin:
                print(len(os.listdir("/proc/self/fd")))
            """, name: "count.py")
        let alone = try reward(count)
        let number = try alone.rewards(of: answers("a"))
        let other = try reward(program("#!/bin/sh\nwhile read line; do echo 1; done", name: "other.sh"))
        #expect(try other.rewards(of: answers("a")) == [1])
        #expect(try reward(count).rewards(of: answers("a")) == number)
    }

    @Test func endlessLines() throws {
        let text = try failure("#!/bin/sh\nread a; exec cat /dev/zero")
        #expect(text.contains("more than a million bytes without a line break for completion 1 of 2"), "\(text)")
    }

    @Test func endlessErrors() throws {
        let text = try failure("#!/bin/sh\nyes no >&2", seconds: 1)
        #expect(text.contains("wrote nothing within 1 seconds") && text.count < 4000, "\(text)")
    }

    /// A program and what it started end with the reward.
    @Test func nothingIsLeft() throws {
        let file = folder.appending(path: "processes").path
        var reward: (any RewardFunction)? = try reward(
            program("#!/bin/sh\nsleep 300 &\necho $! $$ > \(file)\nwhile read line; do echo 1; done\nwait"))
        #expect(try reward?.rewards(of: answers("a")) == [1])
        let processes = try String(contentsOfFile: file, encoding: .utf8).split(whereSeparator: \.isWhitespace)
            .compactMap { Int32($0) }
        #expect(processes.count == 2 && processes.allSatisfy { kill($0, 0) == 0 })
        reward = nil
        // A killed process without a parent may be there for a moment until it is collected.
        for process in processes { #expect(try isGone(process), "\(process)") }
    }

    private func isGone(_ process: Int32) throws -> Bool {
        for _ in 0..<100 {
            let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
            guard let status, !status.contains(") Z ") else { return true }
            usleep(20_000)
        }
        return false
    }

    @Test func programsThatCannotRun() throws {
        func message(_ name: String) -> String {
            do {
                _ = try reward(name).rewards(of: answers("a"))
                return ""
            } catch { return "\(error)" }
        }
        #expect(message("./no-such-program").contains("there is no file ./no-such-program"))
        #expect(
            message("exec:no-such-program-anywhere x").contains("no program \"no-such-program-anywhere\" on the PATH"))
        #expect(message("exec:  ").contains("names no program"))
        #expect(message("exec:sh 'one word.sh").contains("ends behind an open '"))
        #expect(message("exec:sh word\\").contains("ends behind a \\"))
        #expect(message(folder.path).contains("cannot be run"))
        let path = try program("print(1)", name: "score.py")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        #expect(message(path).contains("chmod +x \(path)"))
        let wrong = try program("#!/no/such/interpreter\n", name: "interpreted")
        #expect(message(wrong).contains("cannot be started"))
        #expect(message("exec:true").contains("ended with exit code 0"))
    }
}
