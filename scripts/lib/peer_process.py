"""Processes whose output is read with a deadline: a peer that hangs is a check that fails, and says what the peer said."""

import contextlib
import os
import select
import subprocess
import time

# What a person would wait for at most; the machine may be busy with builds.
PATIENCE = 30
_BLOCK = 1 << 16
_KEPT = 4096


class Silent(Exception):
    """Nothing, or no whole line, came in time."""


class Pipe:
    """One output of a process. Reads end with the deadline; what was read is kept for the report of a failure."""

    def __init__(self, file):
        self._file = file
        self._ahead = bytearray()
        self._seen = bytearray()

    def fileno(self):
        return self._file.fileno()

    @property
    def closed(self):
        return self._file.closed

    def close(self):
        self._file.close()

    def readline(self, timeout=PATIENCE):
        """A line with its end; what there is of one at the end of the output; nothing after that."""
        deadline = time.monotonic() + timeout
        while (end := self._ahead.find(b"\n")) < 0:
            if not self.more(deadline):
                return self._take(len(self._ahead))
        return self._take(end + 1)

    def read(self, timeout=PATIENCE):
        """Everything up to the end of the output."""
        deadline = time.monotonic() + timeout
        while self.more(deadline):
            pass
        return self._take(len(self._ahead))

    def taken_ahead(self):
        """What was read beyond the last line that was asked for."""
        return self._take(len(self._ahead))

    def last_words(self):
        """The end of all that was ever read, with what is there by now."""
        with contextlib.suppress(Silent):
            for _ in range(64):  # it may go on for ever
                if self._file.closed or not self.more(time.monotonic()):
                    break
        return bytes(self._seen[-_KEPT:])

    def _take(self, count):
        taken = bytes(self._ahead[:count])
        del self._ahead[:count]
        return taken

    def more(self, deadline):
        """Waits for more; whether there is any, or this is the end."""
        ready, _, _ = select.select([self._file], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise Silent
        block = os.read(self._file.fileno(), _BLOCK)
        self._ahead += block
        self._seen += block
        del self._seen[:-_KEPT]
        return bool(block)


class Process(subprocess.Popen):
    """As Popen, with both outputs as pipes that are read with a deadline."""

    def __init__(self, command, **options):
        super().__init__(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.stdout, self.stderr = Pipe(self.stdout), Pipe(self.stderr)

    def communicate(self, timeout=PATIENCE):
        """Everything it says until its end, which has to come in time."""
        deadline = time.monotonic() + timeout
        if self.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()
        waiting = [pipe for pipe in (self.stdout, self.stderr) if not pipe.closed]
        while waiting:
            ready, _, _ = select.select(waiting, [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout)
            waiting = [pipe for pipe in waiting if pipe not in ready or pipe.more(deadline)]
        self.wait(max(0.0, deadline - time.monotonic()))
        self.stdout.close()
        self.stderr.close()
        return self.stdout.taken_ahead(), self.stderr.taken_ahead()

    def last_words(self):
        """Who it is, how it is, and the end of what it said."""
        status = self.poll()
        name = " ".join([os.path.basename(self.args[0]), *self.args[1:]])[:200]
        state = "still running" if status is None else f"ended with {status}"
        outputs = [("stdout", self.stdout.last_words()), ("stderr", self.stderr.last_words())]
        said = "".join(f"\n      {which}: {line}" for which, output in outputs
                       for line in output.decode(errors="replace").splitlines()[-20:])
        return f"'{name}' ({state}) said{said or ' nothing'}"
