"""Checks of the means of the other checks: a process that hangs fails its check in time, and what it said is told."""

import time

from processes import Failed, line_that_starts_with, require, started, wait_for_line

SILENT = ("sh", "-c", "echo first; printf half; echo trouble >&2; exec sleep 60")


def failure(check):
    """What a check says that has to fail, which takes less than a few seconds."""
    begun = time.monotonic()
    try:
        with started(*SILENT) as process:
            check(process)
    except Failed as error:
        require(time.monotonic() - begun < 10, "the deadline was not kept")
        return str(error)
    raise Failed("a check of a silent process does not fail")


def check_silent_processes_fail_their_checks_in_time():
    def two_lines(process):
        require(wait_for_line(process) == "first\n", "not the first line")
        wait_for_line(process, 0.3)

    for check in (
        two_lines,
        lambda process: line_that_starts_with(process, "second", 0.3),
        lambda process: process.stdout.read(0.3),
        lambda process: process.communicate(timeout=0.3),
        lambda process: process.wait(0.3),
    ):
        said = failure(check)
        for wanted in ("still running", "stdout: first", "stdout: half", "stderr: trouble"):
            require(wanted in said, f"does not tell '{wanted}': {said}")


def check_what_was_read_ahead_is_not_lost():
    with started("sh", "-c", "printf 'one\\ntwo\\nthree'; echo trouble >&2") as process:
        require(wait_for_line(process) == "one\n", "not the first line")
        require(process.communicate() == (b"two\nthree", b"trouble\n"), "something is lost")
    with started("sh", "-c", "printf 'one\\ntwo'") as process:
        require(process.stdout.readline() + process.stdout.readline() == b"one\ntwo", "not the lines")
        require(process.stdout.readline() == b"" == process.stdout.read(), "more after the end")
