"""Checks of the example `node`: its metrics scraped over HTTP, its peers on disk, its graceful end."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

import processes
from processes import ANY, PATIENCE, binary, ends, fails, line_that_starts_with, lines_that_start_with, require, started, succeeds

# scripts/setup installs it for the distribution's python3, which need not be this one.
sys.path.append("/usr/lib/python3/dist-packages")
from prometheus_client import parser

NODE, ECHO, PING, LIBP2P = (binary(name) for name in ("node", "echo", "ping", "libp2p"))


@contextlib.contextmanager
def node(*arguments):
    with started(NODE, "run", "--listen", ANY, *arguments) as process:
        yield process


def scrape(url):
    """The samples by name and labels, and the types by name, as Prometheus's own client reads them."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        require(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), f"{answer.headers}")
        text = answer.read().decode()
    samples, types = {}, {}
    for family in parser.text_string_to_metric_families(text):
        require(family.name not in types and family.type != "unknown", f"{family.name} is there twice, or has no type")
        types[family.name] = family.type
        for sample in family.samples:
            labels = ",".join(f'{label}="{value}"' for label, value in sample.labels.items())
            # The client gives counters the names that OpenMetrics would have them bear.
            name = sample.name.removesuffix("_total") if family.type == "counter" else sample.name
            key = f"{name}{{{labels}}}" if labels else name
            require(key not in samples, f"{key} is there twice")
            samples[key] = sample.value
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
        require(samples["libp2p_host_streams"] >= 0 and types["libp2p_host_streams"] == "gauge", f"{samples}")
        require(samples["libp2p_quic_connections_accepted"] == 2, f"{samples}")
        require(types["libp2p_host_connections"] == "gauge" and types["libp2p_host_connections_opened"] == "counter",
                f"{types}")
        require(samples['libp2p_quic_connections_ended{cause="application",by_peer="true"}'] == 2, f"{samples}")
        require(samples['libp2p_host_handshakes{direction="inbound"}'] == 2, f"{samples}")
        require(samples["libp2p_host_negotiation_seconds_count"] >= 3 and types["libp2p_host_negotiation_seconds"] == "summary",
                f"{samples}")
        # Headers and names of protocols as well, 32 bytes of ping each way and the echo.
        require(samples["libp2p_host_bytes_read"] > 33 and samples["libp2p_host_bytes_written"] > 33, f"{samples}")
        # All that was there at first is still there and has not gone down, but for gauges.
        for name, value in before.items():
            require(samples.get(name, -1) >= value, f"{name} was {value} and is {samples.get(name)}")
        ends(process, signal.SIGTERM)


def check_node_metrics_tell_failures_by_cause():
    with processes.listener(ECHO, "--listen", ANY) as (_, address), processes.listener(ECHO, "--listen", ANY) as (_, other):
        wrong = address[:address.index("/p2p/")] + other[other.index("/p2p/"):]
        with node("--metrics", "127.0.0.1:0", "--connect", wrong) as process:
            url = line_that_starts_with(process, "metrics ")
            require("cannot be reached" in process.stderr.readline().decode(), "the connection was made")
            samples, types = scrape(url)
            failures = {name: value for name, value in samples.items() if name.startswith("libp2p_host_dials_failed")}
            require(failures == {'libp2p_host_dials_failed{cause="dialFailed"}': 1}, f"{failures}")
            require(types["libp2p_host_dials_failed"] == "counter", f"{types}")


def check_node_metrics_hold_any_text():
    """Quotes, backslashes and line ends in a label's value come out as they went in."""
    agent = 'my "node" \\7\\n {a="b"} 1\nlibp2p_host_streams 9 \u00e9'
    with node("--metrics", "127.0.0.1:0", "--agent-version", agent) as process:
        url = line_that_starts_with(process, "metrics ")
        peer = re.search(processes.PEER_ID, line_that_starts_with(process, "listening "))[1]
        samples, types = scrape(url)
        key = f'node_info{{peer="{peer}",protocol_version="ipfs/0.1.0",agent_version="{agent}"}}'
        require(samples.get(key) == 1 and types["node_info"] == "gauge", f"no {key!r} in {samples}")
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
                known = {line_that_starts_with(process, "knows ") for _ in saved}
                require(known == saved, f"round {round}: knows {known}, was told {saved}")
                saved.add(peer := line_that_starts_with(process, "saved "))
                require(peer == address.split("/p2p/")[1], f"saved {peer}")
                process.send_signal(signal.SIGKILL)
                process.wait(PATIENCE)
        with node("--peers", path) as process:
            known = {line_that_starts_with(process, "knows ") for _ in saved}
            require(known == saved, f"knows {known}, was told {saved}")
            line_that_starts_with(process, "listening ")
            ends(process, signal.SIGTERM)
        require(pathlib.Path(path).exists() and not os.path.exists(path + "-wal"), "an orderly end leaves a log behind")


def change(path, sql):
    """Writes to the peers as another program would."""
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE)) as database:
        database.executescript(sql)


def check_node_goes_on_when_its_peers_cannot_be_saved():
    with tempfile.TemporaryDirectory() as folder, \
            processes.listener(ECHO, "--listen", ANY) as (_, first), \
            processes.listener(ECHO, "--listen", ANY) as (_, second):
        path = f"{folder}/peers.sqlite"
        full = "CREATE TRIGGER full BEFORE INSERT ON peer BEGIN SELECT RAISE(FAIL, 'no room'); END"
        with node("--peers", path) as process:
            line_that_starts_with(process, "listening ")
            change(path, full)
            ends(process, signal.SIGTERM)
        # Told once, tried again, and what came meanwhile is not lost.
        with node("--peers", path, "--connect", first, "--connect", second) as process:
            told = process.stderr.readline().decode()
            require("cannot be saved" in told and "no room" in told, f"said {told!r}")
            address = line_that_starts_with(process, "listening ")
            require(succeeds(ECHO, "dial", address, "--message", "x").stdout == b"x", "no echo")
            change(path, "DROP TRIGGER full")
            saved = {line_that_starts_with(process, "saved ") for _ in range(2)}
            require(saved == {each.split("/p2p/")[1] for each in (first, second)}, f"saved {saved}")
            ends(process, signal.SIGTERM)
            rest = process.stderr.read().decode()
            require(rest.count("\n") == 1 and "saved again" in rest, f"said {rest!r}")
        # Lost at the end: that is a failure.
        change(path, full)
        with processes.listener(ECHO, "--listen", ANY) as (_, third), node("--peers", path, "--connect", third) as process:
            line_that_starts_with(process, "connected ")
            process.send_signal(signal.SIGTERM)
            require(process.wait(PATIENCE) == 1, f"ended with {process.returncode}")
            require("peer store" in process.stderr.read().decode().splitlines()[-1], "does not say what is lost")


def check_node_has_its_peers_for_itself():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/peers.sqlite"
        with node("--peers", path) as process:
            line_that_starts_with(process, "listening ")
            fails(1, f"in use by process {process.pid}: .*file of its own", NODE, "run", "--peers", path)
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE)
        with node("--peers", path) as process:
            line_that_starts_with(process, "listening ")
            # Others may look at any time.
            change(path, "SELECT * FROM peer")
            ends(process, signal.SIGTERM)


def check_node_says_at_once_whom_it_cannot_reach():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, \
            processes.listener(ECHO, "--listen", ANY) as (_, address), \
            processes.listener(ECHO, "--listen", ANY) as (_, other):
        silent.bind(("127.0.0.1", 0))
        nowhere = f"/ip4/127.0.0.1/udp/{silent.getsockname()[1]}/quic-v1"
        wrong = address[:address.index("/p2p/")] + other[other.index("/p2p/"):]
        for bad in (nowhere, wrong):
            with node("--connect", address, "--connect", bad) as process:
                told = process.stderr.readline().decode()
                require(told.startswith(f"node: {bad} cannot be reached: "), f"said {told!r}")
                # It goes on for the others.
                _, own = lines_that_start_with(process, "connected ", "listening ")
                require(succeeds(ECHO, "dial", own, "--message", "x").stdout == b"x", "no echo")
                process.send_signal(signal.SIGTERM)
                require(process.wait(PATIENCE) == 1, f"ended with {process.returncode}")
                rest = process.stderr.read().decode()
                require(rest == "node: a peer of --connect could not be reached (see above)\n", f"said {rest!r}")
        # A signal while it still tries: nothing has failed yet.
        with node("--connect", nowhere) as process:
            line_that_starts_with(process, "listening ")
            ends(process, signal.SIGTERM)
            require(process.stderr.read() == b"", "says something all the same")


def check_node_tells_the_versions_it_is_given():
    with node() as process:
        told = json.loads(succeeds(LIBP2P, "id", line_that_starts_with(process, "listening "), "--json").stdout)
        require(told["protocolVersion"] == "ipfs/0.1.0" and told["agentVersion"].startswith("swift-libp2p-quic/"), f"{told}")
    with node("--protocol-version", "/lattica/1.0.0", "--agent-version", "my node/7 (\u00e4)") as process:
        address = line_that_starts_with(process, "listening ")
        told = json.loads(succeeds(LIBP2P, "id", address, "--json").stdout)
        require((told["protocolVersion"], told["agentVersion"]) == ("/lattica/1.0.0", "my node/7 (\u00e4)"), f"{told}")
        lines = succeeds(LIBP2P, "id", address).stdout.decode().splitlines()
        require("protocol version: /lattica/1.0.0" in lines and "agent: my node/7 (\u00e4)" in lines, f"{lines}")
        ends(process, signal.SIGTERM)
    fails(2, "identify.agentVersion", NODE, "run", "--agent-version", "x" * 257)


def check_node_prints_json_when_asked():
    with tempfile.TemporaryDirectory() as folder, \
            processes.listener(ECHO, "--listen", ANY) as (echo, address):
        peer = address.split("/p2p/")[1]
        with node("--json", "--metrics", "127.0.0.1:0", "--peers", f"{folder}/peers", "--connect", address) as process:
            seen = {}
            deadline = time.monotonic() + PATIENCE
            while not {"metrics", "listening", "connected", "saved"} <= seen.keys() and time.monotonic() < deadline:
                line = json.loads(processes.wait_for_line(process))
                seen[line.pop("type")] = line
            ends(echo, signal.SIGTERM)
            line = json.loads(processes.wait_for_line(process))
            require(line == {"type": "disconnected", "peer": peer}, f"{line}")
            require(seen["connected"] == seen["saved"] == {"peer": peer}, f"{seen}")
            require(set(seen["metrics"]) == {"url"} and "/p2p/" in seen["listening"]["address"], f"{seen}")
            ends(process, signal.SIGTERM)


def check_node_lets_a_transfer_finish():
    with node() as process:
        address = line_that_starts_with(process, "listening ")
        with started(ECHO, "dial", address, stdin=subprocess.PIPE) as dialer:
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
    fails(1, "it is a folder", NODE, "run", "--peers", "/tmp")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"no database" * 1000)
        file.flush()
        fails(1, "damaged", NODE, "run", "--peers", file.name)
    with node("--metrics", "127.0.0.1:0") as process:
        host = re.search(r"//(.*)/", line_that_starts_with(process, "metrics "))[1]
        fails(1, "in use", NODE, "run", "--metrics", host)
