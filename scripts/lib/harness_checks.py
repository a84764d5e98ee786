"""Checks of the example `interop`: the conventions of libp2p's public test harnesses, with a Redis server of our own."""

import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import tempfile
import threading
import time

from processes import PATIENCE, Failed, binary, ends, fails, require, run, started

INTEROP = binary("interop")
NUMBER = r"\d+\.\d+"
OLD_REPORT = rf'{{"handshakePlusOneRTTMillis":({NUMBER}),"pingRTTMilllis":({NUMBER})}}\n'
NEW_REPORT = rf"latency:\n  handshake_plus_one_rtt: ({NUMBER})\n  ping_rtt: ({NUMBER})\n  unit: ms\n"


@contextlib.contextmanager
def redis():
    """A Redis server on a free port; its HOST:PORT."""
    server = shutil.which("redis-server")
    require(server, "there is no redis-server: scripts/setup --with redis installs it")
    with tempfile.TemporaryDirectory() as folder:
        # Redis takes no port 0. Somebody may be faster to take the free one: then the next is tried.
        for _ in range(5):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            with started(server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder) as process:
                deadline = time.monotonic() + PATIENCE
                while process.poll() is None and time.monotonic() < deadline:
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
                        probe.sendall(b"PING\r\n")
                        if probe.recv(64).startswith(b"+PONG"):
                            yield f"127.0.0.1:{port}"
                            return
        raise Failed("redis-server does not start")


def old(role, server, **more):
    return {"transport": "quic-v1", "is_dialer": "true" if role == "dialer" else "false", "ip": "0.0.0.0",
            "redis_addr": server, "test_timeout_seconds": str(PATIENCE), **more}


def new(role, server, **more):
    return {"TRANSPORT": "quic-v1", "IS_DIALER": "true" if role == "dialer" else "false", "LISTENER_IP": "0.0.0.0",
            "REDIS_ADDR": server, "TEST_KEY": "a5b50d5e", "TEST_TIMEOUT_SECS": str(PATIENCE), **more}


FORMS = ((old, OLD_REPORT), (new, NEW_REPORT))


def pair(form, report, server):
    """A listener and a dialer; what the dialer measured."""
    with started(INTEROP, env=form("listener", server)) as listener:
        dialer = run(INTEROP, env=form("dialer", server))
        require(dialer.returncode == 0, f"the dialer ended with {dialer.returncode}: {dialer.stderr!r}")
        match = re.fullmatch(report, dialer.stdout.decode())
        require(match, f"the dialer said {dialer.stdout!r}")
        whole, ping = map(float, match.groups())
        require(0 < ping < whole < PATIENCE * 1000, f"no times: {whole}, {ping}")
        require(listener.poll() is None, "the listener ended with the dialer")
        ends(listener, signal.SIGTERM)
        require(listener.stdout.read() == b"", "the listener wrote to stdout")


def check_harness_reports_are_those_of_the_samples():
    root = pathlib.Path(__file__).resolve().parents[2]
    file = root / "Packages/Host/Tests/HostTests/Vectors/app_protocol_samples.json"
    samples = json.loads(file.read_text())["interop"]
    require(re.fullmatch(OLD_REPORT, samples["oldStdout"] + "\n"), f"not {samples['oldStdout']!r}")
    require(re.fullmatch(NEW_REPORT, samples["unifiedStdout"]), f"not {samples['unifiedStdout']!r}")
    key = samples["unifiedRedisKeyTemplate"].replace("<TEST_KEY>", "mine")
    for form, name, more in ((old, samples["oldRedisKey"], {}), (new, key, {"TEST_KEY": "mine"})):
        with redis() as server, started(INTEROP, env=form("listener", server, **more)):
            host, port = server.split(":")
            with socket.create_connection((host, int(port)), PATIENCE) as client:
                # The listener leaves its address there; the wait is Redis's own.
                client.sendall(f"BLPOP {name} {PATIENCE}\r\n".encode())
                client.settimeout(PATIENCE)
                answer = client.recv(4096)
                require(b"/quic-v1/p2p/" in answer, f"under {name} there is {answer!r}")


def check_harness_pairs_find_each_other_in_both_forms():
    with redis() as server:
        for form, report in FORMS:
            # The second time there are leftovers to cope with.
            for _ in range(2):
                pair(form, report, server)


def check_harness_dialer_may_come_first():
    with redis() as server:
        for form, report in FORMS:
            with started(INTEROP, env=form("dialer", server)) as dialer, \
                    started(INTEROP, env=form("listener", server)):
                said, errors = dialer.communicate(timeout=PATIENCE)
                require(dialer.returncode == 0 and re.fullmatch(report, said.decode()), f"{said!r} {errors!r}")


def check_harness_tests_with_different_keys_do_not_meet():
    with redis() as server, started(INTEROP, env=new("listener", server, TEST_KEY="other")):
        fails(1, "no listener has left its address under 'mine_listener_multiaddr'", INTEROP,
              env=new("dialer", server, TEST_KEY="mine", TEST_TIMEOUT_SECS="2"))


def check_harness_nobody_comes():
    with redis() as server:
        for form, timeout in ((old, "test_timeout_seconds"), (new, "TEST_TIMEOUT_SECS")):
            begun = time.monotonic()
            fails(1, "no listener has left its address", INTEROP, env=form("dialer", server, **{timeout: "2"}))
            fails(1, "nobody ended the listener", INTEROP, env=form("listener", server, **{timeout: "2"}))
            require(4 <= time.monotonic() - begun < PATIENCE, "not the timeout that was asked for")


def check_harness_debug_logs_go_to_stderr():
    with redis() as server, started(INTEROP, env=new("listener", server)):
        dialer = run(INTEROP, env=new("dialer", server, DEBUG="true"))
        require(re.fullmatch(NEW_REPORT, dialer.stdout.decode()), f"said {dialer.stdout!r}")
        require(b" debug " in dialer.stderr, f"logged {dialer.stderr!r:.300}")


def check_harness_bad_environment_ends_with_2():
    server = "127.0.0.1:1"
    fails(2, "is_dialer", INTEROP)
    fails(2, "harness", INTEROP)
    for broken, name in (
        ({"is_dialer": "maybe"}, "is_dialer"), ({"transport": "tcp"}, "transport"), ({"ip": "everywhere"}, "ip"),
        ({"redis_addr": "redis:none"}, "redis_addr"), ({"redis_addr": ":6379"}, "redis_addr"),
        ({"test_timeout_seconds": "soon"}, "test_timeout_seconds"), ({"test_timeout_seconds": "0"}, "seconds"),
    ):
        fails(2, name, INTEROP, env=old("dialer", server, **broken))
    for broken, name in (
        ({"IS_DIALER": ""}, "IS_DIALER"), ({"TRANSPORT": "webtransport"}, "TRANSPORT"), ({"TEST_KEY": ""}, "TEST_KEY"),
        ({"LISTENER_IP": "localhost"}, "LISTENER_IP"), ({"REDIS_ADDR": "redis:70000"}, "REDIS_ADDR"),
        ({"TEST_TIMEOUT_SECS": "1e9"}, "TEST_TIMEOUT_SECS"),
    ):
        fails(2, name, INTEROP, env=new("dialer", server, **broken))


@contextlib.contextmanager
def server_that_says(answer):
    """Something that is no Redis server: sends `answer` to everybody and reads on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(PATIENCE)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with contextlib.suppress(OSError), connection:
                        connection.settimeout(PATIENCE)
                        connection.recv(4096)
                        if answer is not None:
                            connection.sendall(answer)
                        while connection.recv(4096):
                            pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)


def check_harness_something_else_than_redis_is_an_error():
    address = b"no address at all"
    for answer, pattern in (
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Redis's protocol"), (b"-NOAUTH who are you\r\n", "refuses BLPOP: NOAUTH"),
        (b"+" + b"x" * 5000, "endless line"), (b"$99999999\r\n", "number up to"), (b"*99\r\n", "number up to"),
        (b"*1\r\n*1\r\n:1\r\n", "list in a list"), (b"$1\r\nabc\r\n", "another length"), (b":5\r\n", "something else"),
        (b"*2\r\n$1\r\na\r\n$%d\r\n%s\r\n" % (len(address), address), "which is no address"),
        (None, "not done within"),
    ):
        with server_that_says(answer) as server:
            fails(1, pattern, INTEROP, env=old("dialer", server, test_timeout_seconds="3" if answer is None else "20"))


def check_harness_waits_for_redis_to_start():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fails(1, "no Redis server at 127.0.0.1:", INTEROP,
          env=old("dialer", f"127.0.0.1:{port}", test_timeout_seconds="1"))
    server = shutil.which("redis-server")
    require(server, "there is no redis-server: scripts/setup --with redis installs it")
    address = f"127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, started(INTEROP, env=old("dialer", address)) as dialer, \
            started(INTEROP, env=old("listener", address)), \
            started(server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder):
        said, errors = dialer.communicate(timeout=PATIENCE)
        require(re.fullmatch(OLD_REPORT, said.decode()), f"{said!r} {errors!r}")
