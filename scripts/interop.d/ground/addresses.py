"""Random addresses: py-multiaddr's to us, ours to py-multiaddr."""

from __future__ import annotations

import base64
import ipaddress
import random
import re
import string

from multiaddr import Multiaddr
from report import Report
from swift import Refused, Swift

# Why py-multiaddr 0.2.0 and we do not write the same. Where Go decides, we do as Go.
UNIX = "/unix: its binary has no slash before the path (Go's and ours has)"
IPFS = "/ipfs: it does not know the old name of /p2p (Go's and ours do)"
COMPATIBLE = "/ip6: it prints ::a.b.c.d, which RFC 4291 deprecates, where Go and we print ::x:y"
NAMED = "/ip6zone: it refuses a zone that is called like a protocol (Go and we read it)"
STARDUST = "/p2p-stardust: it does not know the protocol (the table does)"

_NO_VALUE = [
    "quic-v1", "quic", "tls", "ws", "wss", "http", "https", "noise", "webtransport", "webrtc", "webrtc-direct",
    "p2p-circuit", "udt", "utp", "p2p-websocket-star", "p2p-webrtc-star", "p2p-webrtc-direct",
]  # fmt: skip
_PORTS = ["tcp", "udp", "dccp", "sctp"]
_NAMES = ["dns", "dns4", "dns6", "dnsaddr", "sni"]


def _b58(raw: bytes) -> str:
    import base58

    return base58.b58encode(raw).decode()


def _word(source: random.Random, low: int, high: int) -> str:
    return "".join(source.choice(string.ascii_lowercase) for _ in range(source.randint(low, high)))


def _component(source: random.Random) -> str:
    kind = source.choice(["none", "port", "name", "ip4", "ip6", "ipcidr", "p2p", "certhash", "onion", "onion3",
                          "garlic64", "garlic32", "memory", "http-path", "ip6zone", "unix"])  # fmt: skip
    raw = source.randbytes
    if kind == "none":
        return "/" + source.choice(_NO_VALUE)
    if kind == "port":
        return f"/{source.choice(_PORTS)}/{source.randrange(65536)}"
    if kind == "name":
        return f"/{source.choice(_NAMES)}/{_word(source, 1, 12)}.{_word(source, 1, 12)}.{_word(source, 2, 5)}"
    if kind == "ip4":
        return f"/ip4/{ipaddress.IPv4Address(raw(4))}"
    if kind == "ip6":
        value = b"".join(bytes(2) if source.random() < 0.4 else raw(2) for _ in range(8))
        return f"/ip6/{ipaddress.IPv6Address(value)}"
    if kind == "ipcidr":
        return f"/ipcidr/{source.randrange(256)}"
    if kind == "p2p":
        key = b"\x12\x20" + raw(32) if source.random() < 0.5 else b"\x00\x24\x08\x01\x12\x20" + raw(32)
        return f"/p2p/{_b58(key)}"
    if kind == "certhash":
        return "/certhash/u" + base64.urlsafe_b64encode(b"\x12\x20" + raw(32)).decode().rstrip("=")
    if kind == "onion":
        return f"/onion/{base64.b32encode(raw(10)).decode().lower()}:{source.randint(1, 65535)}"
    if kind == "onion3":
        return f"/onion3/{base64.b32encode(raw(35)).decode().lower()}:{source.randint(1, 65535)}"
    if kind == "garlic64":
        return "/garlic64/" + base64.b64encode(raw(source.randint(386, 462)), altchars=b"-~").decode()
    if kind == "garlic32":
        length = 32 if source.random() < 0.5 else source.randint(35, 60)
        return "/garlic32/" + base64.b32encode(raw(length)).decode().lower().rstrip("=")
    if kind == "memory":
        return f"/memory/{source.getrandbits(source.randint(1, 64))}"
    if kind == "ip6zone":
        return f"/ip6zone/{_word(source, 1, 8)}{source.randrange(10)}"
    if kind == "http-path":
        return f"/http-path/{_word(source, 1, 8)}%2F{_word(source, 1, 8)}%20x"
    return f"/unix/{_word(source, 1, 8)}/{_word(source, 1, 8)}"


def _random_text(source: random.Random) -> str:
    text = ""
    for _ in range(source.randint(1, 5)):
        text += _component(source)
        if "/unix/" in text:  # a path takes the rest
            break
    return text


def _modern(text: str, report: Report) -> str:
    """py-multiaddr's text with IPv4-compatible addresses as everybody else prints them."""

    def replaced(match: re.Match[str]) -> str:
        value = ipaddress.IPv6Address(match[1])
        report.difference(COMPATIBLE, value.packed[:12] == bytes(12), match[1])
        return f"/ip6/{value}"

    return re.sub(r"/ip6/(::\d+\.\d+\.\d+\.\d+)(?=/|$)", replaced, text)


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _unix_as_python(raw: bytes, text: str) -> bytes:
    """Our binary form of an address that ends in a path, with the path as py-multiaddr writes it."""
    path = text[text.index("/unix/") + len("/unix"):].encode()
    head = raw[: -len(path) - len(_varint(len(path)))]
    assert raw.endswith(_varint(len(path)) + path) and head.endswith(_varint(400))
    return head + _varint(len(path) - 1) + path[1:]


def theirs(swift: Swift, source: random.Random, count: int, report: Report) -> None:
    what = "addresses made here, written by py-multiaddr and read by us, and the other way"
    for _ in range(count):
        text = _random_text(source)
        their_bytes = Multiaddr(text).to_bytes()
        try:
            our_bytes, our_text = swift.values("parse", text.encode())
        except Refused as error:
            report.check(what, False, f"{text}: we refuse it: {error}")
            continue
        if "/unix/" in text:
            report.difference(UNIX, _unix_as_python(our_bytes, our_text.decode()) == their_bytes, text)
            continue
        read = swift.values("read", their_bytes)
        same = our_bytes == their_bytes and read == [their_bytes, our_text]
        printed = _modern(str(Multiaddr(their_bytes)), report)
        report.check(what, same and our_text.decode() == printed, f"{text}: {our_bytes.hex()} {their_bytes.hex()} {our_text!r}")


def by_name(swift: Swift, source: random.Random, count: int, report: Report) -> None:
    for _ in range(count):
        peer = _b58(b"\x12\x20" + source.randbytes(32))
        read = swift.values("parse", f"/ipfs/{peer}".encode())
        same = read == [Multiaddr(f"/p2p/{peer}").to_bytes(), f"/p2p/{peer}".encode()]
        report.difference(IPFS, same and _refuses(f"/ipfs/{peer}"), peer)
    for name in ("udp", "tls", "ws"):
        _, text = swift.values("parse", f"/ip6zone/{name}/ip6/fe80::1".encode())
        report.difference(NAMED, text.decode() == f"/ip6zone/{name}/ip6/fe80::1" and _refuses(text.decode()), name)


def ours(swift: Swift, count: int, report: Report) -> None:
    what = "addresses made by us, text and binary, read by py-multiaddr and written again"
    for _ in range(count):
        raw, encoded = swift.values("address")
        text = encoded.decode()
        if "/p2p-stardust" in text:
            report.difference(STARDUST, _refuses(text), text)
        elif "/unix/" in text:
            report.difference(UNIX, Multiaddr(text).to_bytes() == _unix_as_python(raw, text), text)
        else:
            try:
                from_text, from_bytes = Multiaddr(text), Multiaddr(raw)
                printed = _modern(str(from_bytes), report)
                same = from_text.to_bytes() == raw and printed == text and from_bytes.to_bytes() == raw
                report.check(what, same, f"{text}: {raw.hex()} {from_text.to_bytes().hex()} {from_bytes}")
            except Exception as error:  # whatever it raises is a disagreement
                report.check(what, False, f"{text}: py-multiaddr: {error!r}")


def _refuses(text: str) -> bool:
    try:
        Multiaddr(text)
    except Exception:
        return True
    return False
