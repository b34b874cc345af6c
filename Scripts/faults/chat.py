#!/usr/bin/env python3
"""Talks with a model at a terminal: what a person types there, pastes, edits and breaks off.

usage: chat.py APUS --model MODEL, or --adapters FOLDER        with any small model that answers; Scripts/tiny-model makes one

The program gets a pseudo-terminal. Its answers are held to letters (`--structured_outputs_regex`), so that they end where
the check expects them, whatever the weights are. Prints what held; exit code 1 at the first thing that did not.
"""

import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from fcntl import ioctl

PROMPT = "<<< "
LONG = 40  # an answer's letters; those of one that is broken off are many more
PATIENCE = 60
# What moves the cursor, erases, colours and asks for marks around pastes.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


class Talk:
    """A program at a terminal of 100 columns, and all that it wrote; its standard error may go to a file."""

    def __init__(self, words, kind="xterm", errors=None):
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.environ.update(TERM=kind, OMP_WAIT_POLICY="passive", NO_COLOR="1")
            if errors:
                os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            os.execvp(words[0], words)
        ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.written = ""
        self.controls = ""

    def read(self, seconds):
        """Takes what comes within `seconds`; whether anything did."""
        if not select.select([self.terminal], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.terminal, 65536)
        except OSError:  # the program has ended
            return False
        piece = piece.decode(errors="replace")
        self.controls += "".join(CONTROL.findall(piece))
        self.written += CONTROL.sub("", piece)
        return piece != ""

    def type(self, text):
        """Sends keys; what is written from now on is `written`."""
        self.written = ""
        os.write(self.terminal, text.encode())

    def wait(self, for_what, what):
        """Waits until the pattern is written."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(for_what, self.written, re.S)):
            if time.monotonic() > end:
                fail(f"{what}: {for_what!r} was not written within {PATIENCE} s, but {self.written[-400:]!r}")
            self.read(0.1)
        return found

    def rest(self):
        """What the program writes until it has been silent for a moment."""
        while self.read(0.4):
            pass
        return self.written

    def status(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.read(0.1)
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.process, signal.SIGKILL)
        return "none: it did not end"


def fail(why):
    print(f"chat: {why}", file=sys.stderr)
    sys.exit(1)


def check(holds, what, seen):
    if not holds:
        fail(f"{what}: {seen[-400:]!r}")
    print(f"    {what}")


def answers(text):
    return re.findall(rf"(?<![a-z])[a-z]{{{LONG}}}(?![a-z])", text)


def asks(talk, keys, what, count=1):
    """Types a question; one answer comes, and the prompt after it."""
    talk.type(keys)
    talk.wait(rf"(?<![a-z])[a-z]{{{LONG}}}\n+{PROMPT}", what)
    seen = talk.rest()
    check(len(answers(seen)) == count and seen.count(PROMPT) >= 1, what, seen)
    return seen


def short_answers(words):
    talk = Talk([*words, "--structured_outputs_regex", f"[a-z]{{{LONG}}}"])
    header = talk.wait(rf"Chat with ([^\n]+)\n.*/help .*{PROMPT}", "the chat begins")[1]
    check(os.path.basename(words[3]) in header, "the header names who answers", talk.written)
    asks(talk, "first question\r", "a question is answered")
    check("first question" in asks(talk, "\x1b[A\r", "the arrow up brings the question back"), "and shows it", talk.written)
    seen = asks(talk, "secnd\x1b[D\x1b[Do\x1b[C\x1b[C question\r", "a line is edited in the middle")
    check("second question" in asks(talk, "\x1b[A\r", "and kept as it was edited"), "as one sees", talk.written)
    asks(talk, "\x1b[200~one\ntwo\nthree\x1b[201~\r", "three pasted lines are one question")
    asks(talk, "鱼与熊掌\x7f？\r", "letters beyond ASCII are typed and deleted")
    talk.type("half a quest\x03")
    talk.wait(PROMPT, "Ctrl-C empties a line")
    check(not answers(talk.rest()), "Ctrl-C empties a line and asks nothing", talk.written)
    asks(talk, "and on\r", "the chat goes on after it")
    talk.type("/help\r")
    talk.wait(rf"/bye .*/clear .*{PROMPT}", "/help")
    check(not answers(talk.rest()), "/help is no question", talk.written)
    talk.type("/hepl\r")
    talk.wait(rf"/hepl: there is no such command.*{PROMPT}", "/hepl")
    check(not answers(talk.rest()), "nor is a command that there is not", talk.written)
    talk.type("/clear\r")
    talk.wait(rf"/clear\n.*{PROMPT}", "/clear")
    check(not answers(talk.rest()), "nor is /clear", talk.written)
    talk.type("/multi\r")
    talk.wait(r"<<<\[M\] ", "/multi")
    talk.type("line one\rline two#\r")
    talk.wait(rf"(?<![a-z])[a-z]{{{LONG}}}\n+<<<\[M\] ", "several lines")
    check(len(answers(talk.rest())) == 1, "lines up to # are one question", talk.written)
    talk.type("exit\r")
    check((status := talk.status()) == 0, "exit ends it from there too, with status 0", f"{status} {talk.written}")


def broken_off(words):
    talk = Talk([*words, "--structured_outputs_regex", "[a-z]{900}"])
    talk.wait(PROMPT, "the chat begins")
    talk.type("a long story\r")
    talk.wait(r"\n[a-z]{3}", "an answer streams")
    talk.type("\x03")
    talk.wait(rf"\(ended by Ctrl-C\)\n.*{PROMPT}", "Ctrl-C ends the answer")
    check(len(re.sub(r"[^a-z]", "", talk.rest())) < 900, "Ctrl-C ends an answer, and the chat goes on", talk.written)
    talk.type("\x04")
    check((status := talk.status()) == 0, "Ctrl-D ends the chat with status 0", f"{status} {talk.written}")


def full_context(words):
    talk = Talk([*words, "--structured_outputs_regex", f"[a-z]{{{LONG}}}"])
    talk.wait(PROMPT, "the chat begins")
    for _ in range(3):
        talk.type("word " * 60 + "\r")
        talk.wait(rf"[a-z]{{{LONG}}}\n+{PROMPT}", "a long question is answered")
        forgot = "turn is forgotten" in talk.rest() or "turns are forgotten" in talk.written
        if forgot:
            break
    check(forgot, "a conversation that outgrows the context forgets its oldest turns, and says so", talk.written)
    talk.type("/bye\r")
    check((status := talk.status()) == 0, "/bye ends it", f"{status} {talk.written}")


def other_places(words):
    with tempfile.TemporaryDirectory() as folder:
        talk = Talk([*words, "--structured_outputs_regex", f"[a-z]{{{LONG}}}"], errors=f"{folder}/log")
        talk.wait(PROMPT, "the chat begins")
        asks(talk, "\x1b[200~one\ntwo\x1b[201~\r", "pasted lines are one question where standard error goes to a file")
        check("\x1b[?2004h" in talk.controls, "of which the terminal knows", talk.controls)
        talk.type("/bye\r")
        check((status := talk.status()) == 0, "/bye ends it", f"{status} {talk.written}")
        with open(f"{folder}/log") as file:
            said = file.read()
        check("Chat with" in said and "\x1b" not in said, "and the file holds words alone", said)
    talk = Talk([*words, "--structured_outputs_regex", f"[a-z]{{{LONG}}}"], kind="dumb")
    talk.wait(PROMPT, "the chat begins")
    asks(talk, "a question\r", "a dumb terminal chats too")
    check("2004" not in talk.controls, "and is not asked to mark what is pasted", talk.controls)
    talk.type("/bye\r")
    check((status := talk.status()) == 0, "/bye ends it", f"{status} {talk.written}")


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in ("--model", "--adapters"):
        sys.exit(__doc__)
    words = [os.path.abspath(sys.argv[1]), "infer", *sys.argv[2:], "--device", "cpu", "--temperature", "0"]
    for part in (short_answers, broken_off, full_context, other_places):
        part(words)
    print("chat: all held")


if __name__ == "__main__":
    main()
