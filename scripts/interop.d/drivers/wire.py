"""The few wire formats a driver needs: varints, protobuf fields, base58, QUIC multiaddrs, identify.

Standard library only, so that every driver can use it whatever its peer depends on.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

_IP4, _IP6, _UDP, _P2P, _QUIC_V1 = 4, 41, 273, 421, 461


def encode_uvarint(value: int) -> bytes:
    """An unsigned LEB128 integer."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_uvarint(data: bytes, at: int = 0) -> tuple[int, int]:
    """The value at `at` and the offset behind it."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("truncated or oversized varint")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def message(*fields: tuple[int, int | bytes | str]) -> bytes:
    """A protobuf message of varint and length-delimited fields, in the order given."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += encode_uvarint(number << 3) + encode_uvarint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += encode_uvarint(number << 3 | 2) + encode_uvarint(len(raw)) + raw
    return bytes(out)


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message that has only varints and length-delimited fields."""
    at = 0
    while at < len(data):
        key, at = decode_uvarint(data, at)
        number, kind = key >> 3, key & 7
        value, at = decode_uvarint(data, at)
        if kind == 0:
            yield number, value
        elif kind == 2:
            if at + value > len(data):
                raise ValueError("truncated protobuf field")
            yield number, data[at : at + value]
            at += value
        else:
            raise ValueError(f"protobuf wire type {kind} is not expected here")


def base58_encode(data: bytes) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def base58_decode(text: str) -> bytes:
    number = 0
    for character in text:
        number = number * 58 + _ALPHABET.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def peer_id(public_key: bytes) -> str:
    """The peer ID of a protobuf-encoded public key."""
    if len(public_key) <= 42:
        return base58_encode(bytes([0x00, len(public_key)]) + public_key)
    return base58_encode(b"\x12\x20" + hashlib.sha256(public_key).digest())


def split_peer(address: str) -> tuple[str, str]:
    """`/…/p2p/ID` as its transport part and the ID."""
    transport, _, peer = address.rpartition("/p2p/")
    if not transport or not peer:
        raise ValueError(f"{address}: an address that ends in /p2p/ID is needed")
    return transport, peer


def multiaddr_encode(text: str) -> bytes:
    """The binary form of a QUIC multiaddr (ip4, ip6, udp, quic-v1)."""
    parts = text.strip("/").split("/")
    out = bytearray()
    while parts:
        name = parts.pop(0)
        if name in ("ip4", "ip6"):
            out += encode_uvarint(_IP4 if name == "ip4" else _IP6) + ipaddress.ip_address(parts.pop(0)).packed
        elif name == "udp":
            out += encode_uvarint(_UDP) + int(parts.pop(0)).to_bytes(2, "big")
        elif name == "quic-v1":
            out += encode_uvarint(_QUIC_V1)
        else:
            raise ValueError(f"{text}: no encoding of {name!r} here")
    return bytes(out)


def multiaddr_decode(data: bytes) -> str:
    """The text of a QUIC multiaddr; other protocols end it with `/…`."""
    text, at = "", 0
    while at < len(data):
        code, at = decode_uvarint(data, at)
        if code in (_IP4, _IP6):
            size = 4 if code == _IP4 else 16
            text += f"/ip{4 if code == _IP4 else 6}/{ipaddress.ip_address(data[at : at + size])}"
            at += size
        elif code == _UDP:
            text += f"/udp/{int.from_bytes(data[at : at + 2], 'big')}"
            at += 2
        elif code == _QUIC_V1:
            text += "/quic-v1"
        elif code == _P2P:
            size, at = decode_uvarint(data, at)
            text += f"/p2p/{base58_encode(data[at : at + size])}"
            at += size
        else:
            return f"{text}/…"
    return text


def nested(data: bytes, number: int) -> Iterator[bytes]:
    """The length-delimited fields of that number."""
    return (value for found, value in fields(data) if found == number and isinstance(value, bytes))


@dataclass
class Identify:
    """What an identify message says (https://github.com/libp2p/specs/tree/master/identify)."""

    peer: str = ""
    protocol_version: str = ""
    agent: str = ""
    protocols: list[str] = field(default_factory=list)
    listen: list[str] = field(default_factory=list)
    observed: str = ""
    signed_record: bytes = b""
    """The envelope with the peer's own record; empty when there is none."""

    @classmethod
    def decode(cls, data: bytes) -> Identify:
        found = cls()
        for number, value in fields(data):
            if not isinstance(value, bytes):
                continue
            if number == 1:
                found.peer = peer_id(value)
            elif number == 2:
                found.listen.append(multiaddr_decode(value))
            elif number == 3:
                found.protocols.append(value.decode())
            elif number == 4:
                found.observed = multiaddr_decode(value)
            elif number == 5:
                found.protocol_version = value.decode()
            elif number == 6:
                found.agent = value.decode()
            elif number == 8:
                found.signed_record = value
        return found
