"""aioquic alone, without libp2p on top: offers QUIC versions to a listener, or serves draft 29 only.

    quic_versions.py control                 two connections of this aioquic complete a handshake of draft 29 in memory
    quic_versions.py offer ADDR VERSION…     dials with the first version; may go on with the others
    quic_versions.py listen                  prints `listening ADDR`, answers draft 29 only, until SIGTERM

Prints one JSON object of what happened.
"""

from __future__ import annotations

import argparse
import datetime
import json
import signal
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from typing import Any

from aioquic.buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, PingAcknowledged
from aioquic.quic.packet import pull_quic_header

DRAFT_29 = 0xFF00001D
_ALPN = ["libp2p"]
_TIMEOUT = 10.0


def _certificate() -> tuple[Any, Any]:
    """A certificate of no particular kind, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "draft29.test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()), key


def _libp2p_certificate() -> tuple[Any, Any]:
    """A certificate that names a peer, as libp2p's TLS wants it (py-libp2p makes it)."""
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.peer.id import ID
    from libp2p.transport.quic.security import CertificateGenerator

    pair = create_new_key_pair()
    made = CertificateGenerator().generate_certificate(pair.private_key, ID.from_pubkey(pair.public_key))
    return made.certificate, made.private_key


def _configuration(is_client: bool, versions: Sequence[int], certificate: tuple[Any, Any] | None) -> QuicConfiguration:
    configuration = QuicConfiguration(
        alpn_protocols=_ALPN, is_client=is_client, supported_versions=list(versions), verify_mode=ssl.CERT_NONE
    )
    if certificate:
        configuration.certificate, configuration.private_key = certificate
    return configuration


def _control() -> dict[str, Any]:
    client = QuicConnection(configuration=_configuration(True, [DRAFT_29], None))
    client.connect(("192.0.2.1", 1), now=0.0)
    first = client.datagrams_to_send(now=0.0)
    header = pull_quic_header(Buffer(data=first[0][0]), host_cid_length=8)
    server = QuicConnection(
        configuration=_configuration(False, [DRAFT_29], _certificate()),
        original_destination_connection_id=header.destination_cid,
    )
    waiting = [(server, data) for data, _ in first]
    for _ in range(20):
        for to, data in waiting:
            to.receive_datagram(data, ("192.0.2.1", 1), now=0.0)
        waiting = [
            (other, data)
            for one, other in ((client, server), (server, client))
            for data, _ in one.datagrams_to_send(now=0.0)
        ]
    completed = [any(isinstance(event, HandshakeCompleted) for event in _events(one)) for one in (client, server)]
    return {"wire": f"0x{header.version:08x}", "completed": all(completed)}


def _events(connection: QuicConnection) -> list[object]:
    found = []
    while event := connection.next_event():
        found.append(event)
    return found


def _udp_address(address: str) -> tuple[str, int]:
    parts = address.split("/")
    return parts[2], int(parts[4])


def _offer(address: str, versions: Sequence[int]) -> dict[str, Any]:
    """Dials; ends when a ping is acknowledged after the handshake, when the connection ends, or in time."""
    certificate = _libp2p_certificate() if 1 in versions else None
    connection = QuicConnection(configuration=_configuration(True, versions, certificate))
    seen: dict[str, Any] = {"negotiation": [], "completed": False, "ping": False, "ended": ""}
    deadline = time.monotonic() + _TIMEOUT
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(_udp_address(address))
        connection.connect(_udp_address(address), now=time.monotonic())
        while time.monotonic() < deadline and not seen["ping"] and not seen["ended"]:
            for data, _ in connection.datagrams_to_send(now=time.monotonic()):
                udp.send(data)
            timer = connection.get_timer()
            udp.settimeout(max(0.001, min(deadline, timer or deadline) - time.monotonic()))
            try:
                data = udp.recv(65536)
                if data[0] & 0x80 and data[1:5] == bytes(4):
                    seen["negotiation"] = _offered(data)
                connection.receive_datagram(data, _udp_address(address), now=time.monotonic())
            except TimeoutError:
                connection.handle_timer(now=time.monotonic())
            for event in _events(connection):
                if isinstance(event, HandshakeCompleted):
                    seen["completed"] = True
                    connection.send_ping(1)
                elif isinstance(event, PingAcknowledged):
                    seen["ping"] = True
                elif isinstance(event, ConnectionTerminated):
                    seen["ended"] = event.reason_phrase or f"error {event.error_code:#x}"
        seen["version"] = f"0x{connection._version:08x}"
        connection.close()
        for data, _ in connection.datagrams_to_send(now=time.monotonic()):
            udp.send(data)
    return seen


def _offered(negotiation: bytes) -> list[str]:
    """The versions in a Version Negotiation packet (RFC 9000 §17.2.1)."""
    at = 5
    for _ in range(2):
        at += 1 + negotiation[at]
    return [f"0x{negotiation[start:start + 4].hex()}" for start in range(at, len(negotiation), 4)]


def _listen() -> None:
    """Answers every Initial of another version with Version Negotiation, as aioquic's server does."""
    from aioquic.quic.packet import encode_quic_version_negotiation

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        print(f"listening /ip4/127.0.0.1/udp/{udp.getsockname()[1]}/quic-v1", flush=True)
        while True:
            data, client = udp.recvfrom(65536)
            header = pull_quic_header(Buffer(data=data), host_cid_length=8)
            if header.version not in (None, 0, DRAFT_29):
                answer = encode_quic_version_negotiation(
                    source_cid=header.destination_cid,
                    destination_cid=header.source_cid,
                    supported_versions=[DRAFT_29],
                )
                udp.sendto(answer, client)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("control")
    commands.add_parser("listen")
    offer = commands.add_parser("offer")
    offer.add_argument("address")
    offer.add_argument("versions", nargs="+", type=lambda text: int(text, 0))
    arguments = parser.parse_args()
    if arguments.command == "listen":
        _listen()
    elif arguments.command == "offer":
        print(json.dumps(_offer(arguments.address, arguments.versions)))
    else:
        print(json.dumps(_control()))


if __name__ == "__main__":
    main()
