"""Checks of the example `libp2p`, the tool for looking at peers, keys, addresses and certificates."""

import base64
import contextlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import stat
import subprocess
import tempfile

import processes
from processes import ANY, PATIENCE, binary, ends, fails, require, started, succeeds, wait_for_line

LIBP2P, ECHO = binary("libp2p"), binary("echo")
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
CERTIFICATES = REPOSITORY / "Packages/Libp2pTLS/Tests/Libp2pTLSTests/Vectors/tls_certificates.json"
PEER = r"12D3Koo\w{45}"


@contextlib.contextmanager
def perf_server():
    with started(binary("perf"), "--run-server", "--server-address", "127.0.0.1:0") as process:
        yield wait_for_line(process).removeprefix("listening ").rstrip()


def check_tool_identifies_a_peer():
    with processes.listener(ECHO, "--listen", ANY) as (_, address):
        peer = address.split("/p2p/")[1]
        lines = succeeds(LIBP2P, "id", address).stdout.decode().splitlines()
        for wanted in (f"peer: {peer}", "key: Ed25519", "speaks: /echo/1.0.0", "speaks: /ipfs/ping/1.0.0",
                       f"listens on: {address.split('/p2p/')[0]}"):
            require(wanted in lines, f"no '{wanted}' in {lines}")
        require(any(re.fullmatch(r"signed record: number \d+", line) for line in lines), f"no record: {lines}")
        told = json.loads(succeeds(LIBP2P, "id", address, "--json").stdout)
        require(told["peer"] == peer and "/echo/1.0.0" in told["protocols"] and told["recordSequence"] > 0, f"{told}")
        require(told["observedAddress"].startswith("/ip4/127.0.0.1/udp/"), f"{told}")


def check_tool_pings_and_echoes():
    with processes.listener(ECHO, "--listen", ANY) as (process, address):
        lines = succeeds(LIBP2P, "ping", address, "--count", "2", "--interval", "0").stdout.decode().splitlines()
        require(len(lines) == 3 and lines[2].startswith("2 answered, min/avg/max"), f"said {lines}")
        require(succeeds(LIBP2P, "echo", address, "--message", "hello").stdout == b"hello", "no echo")
        data = os.urandom(200_000)
        require(succeeds(LIBP2P, "echo", address, stdin=data).stdout == data, "another echo")
        told = json.loads(succeeds(LIBP2P, "echo", address, "--bytes", "100000", "--json").stdout)
        require(told["bytes"] == 100_000 and told["checked"], f"said {told}")
        # The peer does not serve perf.
        fails(1, "perf", LIBP2P, "perf", address)
        ends(process, signal.SIGINT)


def check_tool_measures():
    with perf_server() as address:
        line = succeeds(LIBP2P, "perf", address, "--upload-bytes", "300000", "--download-bytes", "5").stdout.decode()
        require(re.fullmatch(r"sent 300000 bytes at [\d.]+ MiB/s, received 5 bytes at [\d.]+ MiB/s\n", line), line)
        told = json.loads(succeeds(LIBP2P, "perf", address, "--upload-bytes", "0", "--download-bytes", "70000",
                                   "--json").stdout)
        require(told["downloadBytes"] == 70_000 and told["uploadBytes"] == 0, f"said {told}")


def check_perf_prints_what_the_test_plans_read():
    with perf_server() as address:
        require(address.endswith("/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"), f"is {address}")
        port = re.search(r"/udp/(\d+)/", address).group(1)
        lines = succeeds(binary("perf"), "--server-address", f"127.0.0.1:{port}", "--transport", "quic-v1",
                         "--upload-bytes", "1000000", "--download-bytes", "2000000").stdout.decode().splitlines()
        told = [json.loads(line) for line in lines]
        last = told[-1]
        require(last["type"] == "final" and last["uploadBytes"] == 1_000_000 and last["downloadBytes"] == 2_000_000
                and last["timeSeconds"] > 0, f"said {lines}")
        require(all(each["type"] == "intermediary" for each in told[:-1]), f"said {lines}")


def check_perf_prints_a_line_a_second_also_when_nothing_moves():
    with started(binary("perf"), "--run-server", "--server-address", "127.0.0.1:0") as server:
        port = re.search(r"/udp/(\d+)/", wait_for_line(server)).group(1)
        server.send_signal(signal.SIGSTOP)
        try:
            with started(binary("perf"), "--server-address", f"127.0.0.1:{port}", "--download-bytes", "70000") as client:
                first = json.loads(wait_for_line(client))
                require(first["type"] == "intermediary" and first["downloadBytes"] == 0
                        and first["timeSeconds"] >= 1, f"said {first}")
                server.send_signal(signal.SIGCONT)
                told = first
                while told["type"] == "intermediary":
                    told = json.loads(wait_for_line(client))
                require(told["type"] == "final" and told["downloadBytes"] == 70_000 and told["timeSeconds"] >= 1,
                        f"said {told}")
        finally:
            server.send_signal(signal.SIGCONT)


def growing(attempt):
    """What a transfer gives that takes long enough on this machine: its size grows until there is something."""
    size = 32 << 20
    while (result := attempt(size)) is None:
        require(size < 64 << 30, "no transfer takes long enough")
        size *= 2
    return result


def lines_around_a_stall(server, port, direction, size):
    """The lines of a transfer that the server interrupts until a line says that nothing moved; `None` when there are no
    two lines with bytes."""
    counted = f"{direction}Bytes"
    with started(binary("perf"), "--server-address", f"127.0.0.1:{port}", f"--{direction}-bytes", str(size)) as client:
        told = [json.loads(wait_for_line(client))]
        server.send_signal(signal.SIGSTOP)
        try:
            while told[-1]["type"] == "intermediary" and told[-1][counted] > 0:
                require(len(told) < 10, f"the server stands still, but the client says {told}")
                told.append(json.loads(wait_for_line(client)))
        finally:
            server.send_signal(signal.SIGCONT)
        while told[-1]["type"] == "intermediary":
            told.append(json.loads(wait_for_line(client)))
        ends(client, within=PATIENCE)
    return told if sum(each[counted] > 0 for each in told[:-1]) >= 2 else None


def check_perf_prints_what_moved_since_the_last_line():
    with started(binary("perf"), "--run-server", "--server-address", "127.0.0.1:0") as server:
        port = re.search(r"/udp/(\d+)/", wait_for_line(server)).group(1)
        for direction, other in (("download", "upload"), ("upload", "download")):
            *told, last = growing(lambda size: lines_around_a_stall(server, port, direction, size))
            moved = [each[f"{direction}Bytes"] for each in told]
            require(0 in moved and sum(moved) <= last[f"{direction}Bytes"], f"{moved} do not make {last}")
            require(sum(each["timeSeconds"] for each in told) <= last["timeSeconds"], f"{told} take longer than {last}")
            require(not any(each[f"{other}Bytes"] for each in (*told, last)), f"something else moved: {told}, {last}")


def drawn(port, size):
    """What a transfer draws on a terminal."""
    terminal, other_end = pty.openpty()
    client = subprocess.Popen(
        (binary("perf"), "--server-address", f"127.0.0.1:{port}", "--download-bytes", str(size)),
        stdout=subprocess.DEVNULL, stderr=other_end,
    )
    try:
        os.close(other_end)
        text = b""
        while select.select([terminal], [], [], PATIENCE)[0]:
            try:
                block = os.read(terminal, 1 << 16)
            except OSError:
                # So it ends when nobody has the other end any more.
                break
            if not block:
                break
            text += block
        require(client.wait(PATIENCE) == 0, f"ended with {client.returncode}, said {text!r:.300}")
        return text.decode()
    finally:
        client.kill()
        client.wait()
        os.close(terminal)


def check_perf_draws_a_bar_on_a_terminal():
    def bars(size):
        pattern = r"\r\x1b\[K\[(#*)(-*)\] (\d+) %  [\d.]+ of [\d.]+ MiB  [\d.]+ MiB/s(\r\n)?"
        text = drawn(port, size)
        found = list(re.finditer(pattern, text))
        require("".join(each.group() for each in found) == text, f"drew {text!r:.500}")
        return found if len(found) >= 3 else None

    with perf_server() as address:
        port = re.search(r"/udp/(\d+)/", address).group(1)
        found = growing(bars)
        shares = [int(each.group(3)) for each in found]
        require(shares == sorted(shares) and shares[0] < 100 and shares[-1] == 100, f"drew {shares}")
        # The share is rounded down to a hundredth, the bar to a thirtieth.
        require(all(0 <= len(each.group(1)) - int(each.group(3)) * 30 // 100 <= 1 for each in found), f"drew {found}")
        require(all(len(each.group(1) + each.group(2)) == 30 for each in found), f"drew {found}")
        # Each is drawn over the last one, and the line ends with the transfer.
        require([bool(each.group(4)) for each in found] == [False] * (len(found) - 1) + [True], f"drew {found}")


def check_tool_makes_and_reads_keys():
    with tempfile.TemporaryDirectory() as folder:
        for kind, shown in (("ed25519", "Ed25519"), ("secp256k1", "secp256k1"), ("ecdsa", "ECDSA"), ("rsa", "RSA")):
            path = f"{folder}/{kind}"
            made = succeeds(LIBP2P, "key", "generate", "--type", kind, path).stdout.decode()
            require(f"key: {shown}\n".lower() in made.lower(), f"said {made}")
            require(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "others can read the key")
            require(succeeds(LIBP2P, "key", "inspect", path).stdout.decode() == made, "inspect says something else")
            fails(1, "holds a key already", LIBP2P, "key", "generate", path)
            secret = pathlib.Path(path).read_bytes()
            require(secret[4:36].hex() not in made, "the secret is printed")
        told = json.loads(succeeds(LIBP2P, "key", "inspect", "--json", f"{folder}/ed25519").stdout)
        require(re.fullmatch(PEER, told["peer"]) and told["cid"].startswith("b"), f"said {told}")
        with processes.listener(ECHO, "--listen", ANY, "--key", f"{folder}/secp256k1") as (_, address):
            peer = json.loads(succeeds(LIBP2P, "key", "inspect", "--json", f"{folder}/secp256k1").stdout)["peer"]
            require(address.endswith(f"/p2p/{peer}"), f"{address} is not {peer}")
        fails(1, "No such file|does not exist", LIBP2P, "key", "inspect", f"{folder}/none")
        fails(2, "--bits", LIBP2P, "key", "generate", "--bits", "4096", f"{folder}/new")
        fails(2, "--bits", LIBP2P, "key", "generate", "--type", "rsa", "--bits", "1024", f"{folder}/new")


def check_tool_takes_addresses_apart():
    peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
    lines = succeeds(LIBP2P, "addr", "parse", f"/ip4/127.0.0.1/udp/4001/quic-v1/ipfs/{peer}").stdout.decode().splitlines()
    for wanted in (f"address: /ip4/127.0.0.1/udp/4001/quic-v1/p2p/{peer}", "component: ip4 (4) 127.0.0.1",
                   "component: udp (273) 4001", "component: quic-v1 (461)", "quic: host 127.0.0.1, port 4001, version 1",
                   f"peer: {peer}"):
        require(wanted in lines, f"no '{wanted}' in {lines}")
    told = json.loads(succeeds(LIBP2P, "addr", "parse", "--json", "/dns/example.org/tcp/443").stdout)
    require(told["components"][0] == {"name": "dns", "code": 53, "value": "example.org"} and "quic" not in told, f"{told}")
    fails(2, "bad address", LIBP2P, "addr", "parse", "/ip4/1.2.3/udp/1")


def check_tool_reads_certificates():
    cases = json.loads(CERTIFICATES.read_text())["vectors"]
    other = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "certificate")
        for case in cases:
            der = bytes.fromhex(case["certificateDerHex"])
            text = base64.encodebytes(der).decode()
            results = []
            for content in (der, f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode()):
                path.write_bytes(content)
                results.append(processes.run(LIBP2P, "cert", "inspect", str(path)))
            require(results[0].stdout == results[1].stdout, f"PEM and DER differ: {results}")
            if not case["valid"]:
                require(results[0].returncode == 1 and results[0].stderr, f"{case['name']}: {results[0]}")
                continue
            require(results[0].returncode == 0 and f"libp2p: proves {case['peerId']} (".encode() in results[0].stdout,
                    f"{case['name']}: {results[0]}")
            require(succeeds(LIBP2P, "cert", "inspect", "-", stdin=der).stdout == results[0].stdout, "not from stdin")
            told = json.loads(succeeds(LIBP2P, "cert", "inspect", "--json", "--peer", case["peerId"], str(path)).stdout)
            require(told["peer"] == case["peerId"] and told["hasLibp2pExtension"], f"said {told}")
            result = processes.run(LIBP2P, "cert", "inspect", "--peer", other, str(path))
            require(result.returncode == 1 and b"not valid for libp2p" in result.stderr, f"said {result}")
        path.write_bytes(b"nothing")
        fails(1, "no certificate", LIBP2P, "cert", "inspect", str(path))
        fails(1, "longer", LIBP2P, "cert", "inspect", "/dev/zero")


def check_tool_bad_arguments_end_with_2():
    for command in ([], ["nonsense"], ["id"], ["id", "/ip4/127.0.0.1/tcp/1"], ["perf", "--upload-bytes=-1"],
                    ["key", "generate", "--type", "dsa", "x"], ["key"], ["addr"], ["cert", "inspect", "--peer", "nobody", "x"]):
        fails(2, r"^libp2p: .+", LIBP2P, *command)
