"""Black-box checks of the examples' command contract, on real processes.

Called by scripts/test-examples: FOLDER_OF_BINARIES [NAME...]. Each function called check_... here and in the modules
beside it is one check; they run one after another, but for the slow ones, which wait beside the others.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

import harness_checks
import node_checks
import process_checks
import processes
import tool_checks
from processes import ANY, FAILURES, PATIENCE, PEER_ID, binary, ends, fails, require, started, succeeds, wait_for_line

ECHO, PING = binary("echo"), binary("ping")


def listener(program=ECHO, *arguments, env=None):
    return processes.listener(program, *arguments, env=env)


def check_bad_arguments_end_with_2_and_one_line():
    for command in (
        [ECHO], [PING], [ECHO, "nonsense"], [ECHO, "dial"], [ECHO, "listen", "--nonsense"],
        [ECHO, "dial", ANY, "--bytes", "many"], [ECHO, "dial", ANY, "--bytes=-1"],
        [ECHO, "dial", ANY, "--message", "a", "--bytes", "1"], [ECHO, "dial", ANY, "--message", "a", "--file", "b"],
        [PING, "dial", ANY, "--count", "0"], [PING, "dial", ANY, "--interval", "soon"],
        [PING, "dial", ANY, "--interval", "nan"], [PING, "dial", ANY, "too", "many"],
    ):
        fails(2, r"^(echo|ping): .+", *command)


def check_bad_addresses_end_with_2_and_say_what_is_wrong():
    for text in ("", "nonsense", "/", "/ip4/1.2.3/udp/1/quic-v1", "/ip4/1.2.3.4/udp/70000/quic-v1", "/ip4/1.2.3.4/udp",
                 "/ip4/1.2.3.4/tcp/80", "/ip4/127.0.0.1/udp/1/quic-v1/p2p/notanid", "/nosuch/1", "/ip4/1.2.3.4/udp/1",
                 "/ip4/127.0.0.1/udp/1/quic-v1/p2p-circuit", "/ip4/127.0.0.1/udp/1/quic", "/ip4/1.2.3.4/udp/1/quic-v1/" + "x" * 5000):
        fails(2, "address", ECHO, "dial", text)
        fails(2, "address", ECHO, "listen", "--listen", text)
        fails(2, "address", PING, "dial", text)


    fails(2, "not a name", ECHO, "listen", "--listen", "/dns4/localhost/udp/0/quic-v1")


def check_help_goes_to_stdout_and_ends_with_0():
    for command in ([ECHO, "--help"], [PING, "dial", "--help"], [ECHO, "help", "listen"]):
        result = succeeds(*command)
        require(b"USAGE" in result.stdout and result.stderr == b"", f"{command} prints no help")


def check_listener_says_where_it_listens():
    for binary in (ECHO, PING):
        with listener(binary) as (process, address):
            require(re.fullmatch(r"/ip4/127\.0\.0\.1/udp/[1-9]\d*/quic-v1" + PEER_ID, address), f"said {address!r}")
            ends(process, signal.SIGINT)
    with listener(ECHO, "--listen", ANY, "--listen", "/ip6/::1/udp/0/quic-v1") as (process, first):
        second = wait_for_line(process).removeprefix("listening ").rstrip()
        require(first.startswith("/ip4/") and second.startswith("/ip6/::1/udp/"), f"said {first}, {second}")
        for address in (first, second):
            require(succeeds(ECHO, "dial", address, "--message", "both").stdout == b"both", "no echo")
    with listener(ECHO, "--json", "--listen", ANY) as (process, line):
        said = json.loads(line)
        require(said["type"] == "listening" and re.search(PEER_ID, said["address"]), f"said {said}")


def check_key_file_keeps_the_identity():
    with tempfile.TemporaryDirectory() as folder:
        key = f"{folder}/key"
        seen = set()
        for _ in range(2):
            with listener(ECHO, "--listen", ANY, "--key", key) as (_, address):
                seen.add(re.search(PEER_ID, address).group(1))
        require(len(seen) == 1, f"one key file, two identities: {seen}")
        require(stat.S_IMODE(os.stat(key).st_mode) == 0o600, "the key file can be read by others")
        os.chmod(key, 0o644)
        with listener() as (_, address):
            result = succeeds(ECHO, "dial", address, "--message", "x", "--key", key)
            require(result.stdout == b"x" and re.fullmatch(rb"echo: key file .*: chmod 600 .*\n", result.stderr),
                    f"no warning that others can read the key: {result.stderr!r}")
        os.chmod(key, 0o600)
        pathlib.Path(key).write_bytes(b"damaged")
        fails(1, "key", ECHO, "listen", "--key", key)
        require(pathlib.Path(key).read_bytes() == b"damaged", "the damaged key file was overwritten")


def check_message_file_and_stdin_come_back_as_sent():
    with listener() as (_, address), tempfile.NamedTemporaryFile() as file:
        for text in ("hello", "", "line\nline\n", "grüße, 世界 🌍"):
            require(succeeds(ECHO, "dial", address, "--message", text).stdout == text.encode(), f"{text!r} came back wrong")
        for size in (0, 1, 65_535, 65_536, 65_537, 3_000_001):
            data = random.Random(size).randbytes(size)
            file.seek(0)
            file.truncate()
            file.write(data)
            file.flush()
            for name, result in (
                ("--file", succeeds(ECHO, "dial", address, "--file", file.name)),
                ("stdin", succeeds(ECHO, "dial", address, stdin=data)),
            ):
                require(hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest(),
                        f"{size} bytes by {name}: {len(result.stdout)} came back, or others")
        fails(1, "No such file", ECHO, "dial", address, "--file", "/nonexistent/file")
        fails(1, "folder", ECHO, "dial", address, "--file", "/")


def check_random_bytes_are_checked_and_summed_up():
    with listener() as (_, address):
        for size in (0, 1, 100_000, 64 << 20):
            result = succeeds(ECHO, "dial", address, "--bytes", str(size), timeout=120)
            require(re.fullmatch(rf"echoed {size} bytes in [\d.]+ s, .*\n", result.stdout.decode()),
                    f"said {result.stdout!r}")
            require(result.stderr == b"", f"noise on stderr: {result.stderr!r:.300}")
        result = succeeds(ECHO, "dial", address, "--bytes", "1000000", "--progress", "--json")
        said = json.loads(result.stdout)
        require(said["bytes"] == 1_000_000 and said["checked"] is True, f"said {said}")
        require(b"100 %" in result.stderr, f"no progress: {result.stderr!r}")
        said = json.loads(succeeds(ECHO, "dial", address, "--message", "hi \"there\"\n", "--json").stdout)
        require(said["text"] == "hi \"there\"\n" and said["bytes"] == 11, f"said {said}")


def check_ping_counts_and_sums_up():
    with listener(PING) as (_, address):
        lines = succeeds(PING, "dial", address, "--count", "3", "--interval", "0.05").stdout.decode().splitlines()
        require(len(lines) == 4 and all(re.search(r"seq=\d time=[\d.]+ ms$", line) for line in lines[:3]), f"{lines}")
        require(re.search(r"^3 answered, min/avg/max = [\d.]+/[\d.]+/[\d.]+ ms$", lines[3]), f"said {lines[3]}")
        output = succeeds(PING, "dial", address, "--count", "2", "--interval", "0", "--json").stdout.decode()
        types = [json.loads(line)["type"] for line in output.splitlines()]
        require(types == ["pong", "pong", "summary"], f"said {types}")


def check_address_without_peer_id_is_dialed_too():
    with listener() as (_, address):
        bare = address[:address.index("/p2p/")]
        require(succeeds(ECHO, "dial", bare, "--message", "found").stdout == b"found", "no echo")


def check_a_short_echo_ends_the_dialer():
    with listener(ECHO, "--listen", ANY, "--limit", "3") as (_, address):
        require(succeeds(ECHO, "dial", address, "--message", "abc").stdout == b"abc", "no echo within the limit")
        with started(ECHO, "dial", address, stdin=subprocess.PIPE) as dialer:
            # Standard input stays open: the dialer must not wait for its end.
            dialer.stdin.write(b"hello\n")
            dialer.stdin.flush()
            status = dialer.wait(PATIENCE / 2)
            said, errors = dialer.stdout.read(), dialer.stderr.read()
            require(status == 1 and said == b"hel" and b"after 3 bytes" in errors, f"{status}, {said!r}, {errors!r}")
        fails(1, "differs|came back|after 3 bytes", ECHO, "dial", address, "--bytes", "1000000")


def check_another_peer_id_is_refused_and_both_are_named():
    with listener() as (_, address), listener() as (_, other):
        wrong = address[:address.index("/p2p/")] + other[other.index("/p2p/"):]
        text = fails(1, ".", ECHO, "dial", wrong, "--message", "x")
        for each in (address, other):
            require(each.split("/p2p/")[1] in text, f"does not name {each.split('/p2p/')[1]}: {text}")
        require(succeeds(ECHO, "dial", address, "--message", "x").stdout == b"x", "the listener is gone")


def check_port_in_use_is_said():
    with listener() as (_, address):
        port = re.search(r"/udp/(\d+)/", address).group(1)
        fails(1, f"in use", ECHO, "listen", "--listen", f"/ip4/127.0.0.1/udp/{port}/quic-v1")
    fails(1, ".", ECHO, "listen", "--listen", "/ip4/203.0.113.7/udp/0/quic-v1")


def check_nobody_there_is_an_error_in_time():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"/ip4/127.0.0.1/udp/{silent.getsockname()[1]}/quic-v1"
        begun = time.monotonic()
        fails(1, ".", ECHO, "dial", address, "--message", "x")
        require(time.monotonic() - begun < 20, "took longer than the dial timeout")


def check_signals_end_an_idle_listener():
    for binary in (ECHO, PING):
        for number in (signal.SIGINT, signal.SIGTERM):
            with listener(binary) as (process, _):
                ends(process, number)


def check_signal_on_the_listener_ends_the_dialer():
    with listener(PING) as (process, address), \
            started(PING, "dial", address, "--count", "10000", "--interval", "0.02") as dialer:
        wait_for_line(dialer)
        ends(process, signal.SIGINT)
        _, errors = dialer.communicate(timeout=PATIENCE)
        require(dialer.returncode == 1, f"the dialer ended with {dialer.returncode}")
        require(re.search(rb"close", errors), f"the dialer does not tell that it was closed: {errors!r}")


def check_signals_end_a_dialer():
    with listener(PING) as (_, address):
        for number in (signal.SIGINT, signal.SIGTERM):
            with started(PING, "dial", address, "--count", "10000", "--interval", "0.02") as dialer:
                wait_for_line(dialer)
                ends(dialer, number)
                require(b"answered" in dialer.stdout.read(), "no summary")
    with listener() as (_, address):
        # Waiting for standard input.
        with started(ECHO, "dial", address, stdin=subprocess.PIPE) as dialer:
            dialer.stdin.write(b"first\n")
            dialer.stdin.flush()
            require(wait_for_line(dialer) == "first\n", "the echo waits for the end of the input")
            ends(dialer, signal.SIGINT)
        # In the middle of a transfer.
        with started(ECHO, "dial", address, "--bytes", str(1 << 40), "--progress") as dialer:
            require(dialer.stderr.readline(), "no progress")
            ends(dialer, signal.SIGINT)
        require(succeeds(ECHO, "dial", address, "--message", "x").stdout == b"x", "the listener is gone")


def check_signals_end_a_dialer_whose_output_nobody_takes():
    def one_processor():
        # With one thread for all tasks, the one that writes blocks every other.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    def full(pipe):
        return not select.select([], [pipe], [], 0)[1]

    with listener() as (_, address), tempfile.NamedTemporaryFile() as file:
        file.truncate(8 << 20)
        with started(ECHO, "dial", address, "--file", file.name, before=one_processor,
                     env={"LIBP2P_LOG_LEVEL": "info"}) as dialer:
            deadline = time.monotonic() + PATIENCE
            with open(f"/proc/{dialer.pid}/fd/1", "wb", buffering=0) as pipe:
                while not full(pipe):
                    require(time.monotonic() < deadline and dialer.poll() is None, "the pipe does not fill")
                    time.sleep(0.01)
            # Nor does anybody take what it logs.
            errors = os.open(f"/proc/{dialer.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(errors, b"-")
            os.close(errors)
            # 1.8 seconds are the program's; the rest is for a busy machine.
            ends(dialer, signal.SIGINT, within=3.0)


def check_killed_dialer_does_not_harm_the_listener():
    with listener() as (process, address):
        for _ in range(3):
            with started(ECHO, "dial", address, "--bytes", str(1 << 40), "--progress") as dialer:
                require(dialer.stderr.readline(), "no progress")
                dialer.kill()
        require(succeeds(ECHO, "dial", address, "--message", "x").stdout == b"x", "no echo after killed dialers")
        ends(process, signal.SIGINT)


def check_random_datagrams_do_no_harm():
    generator = random.Random(20260101)
    with listener() as (process, address):
        port = int(re.search(r"/udp/(\d+)/", address).group(1))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(10_000):
                data = bytearray(generator.randbytes(generator.choice((0, 1, 7, 20, 21, 100, 1200, 1452, 9000))))
                if data and number % 3 == 0:
                    # Looks like an Initial of version 1, so that it gets further.
                    data[:6] = bytes((0xC0 | data[0] & 0x0F, 0, 0, 0, 1, 8))[:len(data)]
                with contextlib.suppress(ConnectionRefusedError, BlockingIOError):
                    sender.sendto(data, ("127.0.0.1", port))
        require(process.poll() is None, "the listener is gone")
        require(succeeds(ECHO, "dial", address, "--message", "still here").stdout == b"still here", "no echo")
        ends(process, signal.SIGINT)


def check_logs_go_to_stderr_at_the_level_asked_for():
    with listener() as (_, address):
        result = succeeds(ECHO, "dial", address, "--message", "x", env={"LIBP2P_LOG_LEVEL": "trace"})
        require(result.stdout == b"x" and b"echo" in result.stderr, f"logs: {result.stderr!r:.300}")
        quiet = succeeds(ECHO, "dial", address, "--message", "x", env={"LIBP2P_LOG_LEVEL": ""})
        require(quiet.stderr == b"", f"not quiet: {quiet.stderr!r:.300}")


def check_key_log_is_written():
    with tempfile.TemporaryDirectory() as folder, listener() as (_, address):
        path = pathlib.Path(folder, "keys.log")
        succeeds(ECHO, "dial", address, "--message", "x", env={"SSLKEYLOGFILE": str(path)})
        require("CLIENT_TRAFFIC_SECRET_0 " in path.read_text(), "no secrets in the key log")


def check_qlog_is_written():
    with tempfile.TemporaryDirectory() as folder, listener() as (_, address):
        succeeds(ECHO, "dial", address, "--message", "x", env={"QLOGDIR": folder})
        logs = list(pathlib.Path(folder).glob("*.sqlog"))
        require(len(logs) == 1 and b"qlog" in logs[0].read_bytes()[:200], f"no qlog: {logs}")


def slow_check_killed_listener_ends_the_dialer():
    """Nothing is said when a process is killed, so this takes the idle timeout (30 s)."""
    with listener() as (process, address), \
            started(ECHO, "dial", address, "--bytes", str(1 << 40), "--progress") as dialer:
        require(dialer.stderr.readline(), "no progress")
        process.kill()
        begun = time.monotonic()
        _, errors = dialer.communicate(timeout=60)
        took = time.monotonic() - begun
        require(dialer.returncode == 1, f"the dialer ended with {dialer.returncode}")
        require(took < 45, f"the dialer noticed only after {took:.0f} s")
        require(errors.strip(), "the dialer does not say why it ended")


MODULES = (process_checks, harness_checks, node_checks, tool_checks)


def main():
    wanted = sys.argv[2:]
    checks = [
        (name, function) for module in (globals(), *map(vars, MODULES)) for name, function in module.items()
        if name.startswith(("check_", "slow_check_")) and (not wanted or any(each in name for each in wanted))
    ]
    failed = []

    def attempt(name, function):
        begun = time.monotonic()
        try:
            function()
        except FAILURES as error:
            failed.append(name)
            outcome = f"FAILED: {error}"
        else:
            outcome = "ok"
        title = name.removeprefix("slow_").removeprefix("check_").replace("_", " ")
        print(f"{outcome[:6].strip(':'):6} {time.monotonic() - begun:5.1f} s  {title}{outcome[6:]}", flush=True)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = [pool.submit(attempt, *check) for check in checks if check[0].startswith("slow_")]
        for check in checks:
            if not check[0].startswith("slow_"):
                attempt(*check)
        for each in slow:
            each.result()
    print(f"test-examples: {len(checks) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not checks else 0


if __name__ == "__main__":
    sys.exit(main())
