"""Checks of the example `node`: its metrics scraped over HTTP, its peers on disk, its graceful end."""

import contextlib
import http.client
import os
import pathlib
import re
import signal
import socket
import tempfile
import urllib.request

import processes
from processes import ANY, PATIENCE, Failed, binary, ends, fails, require, started, succeeds

NODE, ECHO, PING = (binary(name) for name in ("node", "echo", "ping"))
SAMPLE = re.compile(r'^([a-zA-Z_][a-zA-Z0-9_]*)(\{[^{}]*\})? (-?[0-9.e+-]+)$')


@contextlib.contextmanager
def node(*arguments):
    with started(NODE, "run", "--listen", ANY, *arguments) as process:
        yield process


def line_that_starts_with(process, text):
    """The rest of the first such line; others are passed over."""
    while line := process.stdout.readline().decode():
        if line.startswith(text):
            return line[len(text):].strip()
    raise Failed(f"no line '{text}', but: {process.stderr.read().decode()}")


def scrape(url):
    """The samples by name and labels, and the types by name."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        require(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), f"{answer.headers}")
        text = answer.read().decode()
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            require(name not in types, f"two types of {name}")
            types[name] = kind
            continue
        match = SAMPLE.fullmatch(line)
        require(match, f"not Prometheus's format: {line!r}")
        samples[match[1] + (match[2] or "")] = float(match[3])
    return samples, types


def check_node_metrics_are_scraped():
    with node("--metrics", "127.0.0.1:0") as process:
        url = line_that_starts_with(process, "metrics ")
        address = line_that_starts_with(process, "listening ")
        before, _ = scrape(url)
        require(before.get("libp2p_host_connections_opened", 0) == 0, f"{before}")
        require(succeeds(ECHO, "dial", address, "--message", "x").stdout == b"x", "no echo")
        succeeds(PING, "dial", address, "--count", "1")
        line_that_starts_with(process, "disconnected ")
        line_that_starts_with(process, "disconnected ")
        samples, types = scrape(url)
        require(samples["libp2p_host_connections_opened"] == 2, f"{samples}")
        require(samples["libp2p_host_connections"] == 0, f"{samples}")
        require(samples["libp2p_host_streams_handled"] >= 3, f"{samples}")
        require(samples["libp2p_quic_connections_accepted"] == 2, f"{samples}")
        require(types["libp2p_host_connections"] == "gauge" and types["libp2p_host_connections_opened"] == "counter",
                f"{types}")
        require(any(name.startswith("libp2p_quic_connections_ended{") for name in samples), f"{samples}")
        ends(process, signal.SIGTERM)


def check_node_metrics_server_is_no_web_server():
    with node("--metrics", "127.0.0.1:0") as process:
        url = line_that_starts_with(process, "metrics ")
        host = re.search(r"//(.*)/", url)[1]
        for method, path in (("GET", "/"), ("GET", "/metrics/../etc/passwd"), ("POST", "/metrics")):
            connection = http.client.HTTPConnection(host, timeout=PATIENCE)
            connection.request(method, path)
            require(connection.getresponse().status == 404, f"{method} {path} is answered")
            connection.close()
        # Scrapers that never ask cost a place each, and not for ever.
        name, port = host.split(":")
        with contextlib.ExitStack() as silent:
            for _ in range(20):
                silent.enter_context(socket.create_connection((name, int(port)), PATIENCE))
            scrape(url)
        with socket.create_connection((name, int(port)), PATIENCE) as rude:
            rude.sendall(b"\x00" * 10_000)
        scrape(url)
        ends(process, signal.SIGINT)


def check_node_knows_its_peers_after_kill():
    """What the node said is saved is there again, whenever it is killed."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as others:
        path = f"{folder}/peers.sqlite"
        addresses = [others.enter_context(processes.listener(ECHO, "--listen", ANY))[1] for _ in range(6)]
        saved = set()
        for round, address in enumerate(addresses):
            with node("--peers", path, "--connect", address) as process:
                known = set()
                while not (line := process.stdout.readline().decode()).startswith("saved "):
                    if not line:
                        raise Failed(f"ended: {process.stderr.read().decode()}")
                    if line.startswith("knows "):
                        known.add(line.split()[1])
                require(known == saved, f"round {round}: knows {known}, was told {saved}")
                saved.add(line.split()[1])
                require(line.split()[1] == address.split("/p2p/")[1], f"saved {line}")
                process.send_signal(signal.SIGKILL)
                process.wait(PATIENCE)
        with node("--peers", path) as process:
            known = {line_that_starts_with(process, "knows ") for _ in saved}
            require(known == saved, f"knows {known}, was told {saved}")
            line_that_starts_with(process, "listening ")
            ends(process, signal.SIGTERM)
        require(pathlib.Path(path).exists() and not os.path.exists(path + "-wal"), "an orderly end leaves a log behind")


def check_node_lets_a_transfer_finish():
    with node() as process:
        address = line_that_starts_with(process, "listening ")
        with started(ECHO, "dial", address, stdin=processes.subprocess.PIPE) as dialer:
            dialer.stdin.write(b"first\n")
            dialer.stdin.flush()
            require(dialer.stdout.readline() == b"first\n", "no echo")
            process.send_signal(signal.SIGTERM)
            # The handler still works, for a second.
            dialer.stdin.write(b"second\n")
            dialer.stdin.close()
            dialer.stdin = None
            require(dialer.stdout.read() == b"second\n", "cut off")
            require(dialer.wait(PATIENCE) == 0, "the dialer failed")
        ends(process)


def check_node_bad_arguments_and_files():
    fails(2, "HOST:PORT", NODE, "run", "--metrics", "9090")
    fails(2, "what should it do", NODE)
    fails(1, "peer store", NODE, "run", "--peers", "/nonexistent/peers")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"no database" * 1000)
        file.flush()
        fails(1, "damaged", NODE, "run", "--peers", file.name)
    with node("--metrics", "127.0.0.1:0") as process:
        host = re.search(r"//(.*)/", line_that_starts_with(process, "metrics "))[1]
        fails(1, "in use", NODE, "run", "--metrics", host)
