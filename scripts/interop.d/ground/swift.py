"""Our half: a process of Packages/PeerID/CrossCheck that answers one line for each line."""

from __future__ import annotations

import select
import subprocess


_PATIENCE = 60.0
"""Seconds that an answer may take; making a large RSA key takes the longest."""


class Refused(Exception):
    """Our side ended in an error; the text is its code."""


class Swift:
    def __init__(self, binary: str, seed: int) -> None:
        self._process = subprocess.Popen([binary, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command: str, *arguments: bytes | str) -> list[str]:
        words = [command] + [(each.hex() or "-") if isinstance(each, bytes) else each for each in arguments]
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        # One line for each question, so that nothing of it can be in Python's buffer yet.
        if not select.select([self._process.stdout], [], [], _PATIENCE)[0]:
            self._process.kill()
            raise RuntimeError(f"ground-crosscheck does not answer within {_PATIENCE:.0f} s: {' '.join(words)[:200]}")
        answer = self._process.stdout.readline().split()
        if not answer:
            raise RuntimeError(f"ground-crosscheck ended at: {' '.join(words)[:200]}")
        if answer[0] == "error":
            raise Refused(answer[1])
        return ["" if word == "-" else word for word in answer[1:]]

    def values(self, command: str, *arguments: bytes | str) -> list[bytes]:
        return [bytes.fromhex(word) for word in self.ask(command, *arguments)]

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=10)
