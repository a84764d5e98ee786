"""Keys of every type: made by py-libp2p and `cryptography` for us, made by us for them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from libp2p.crypto import ed25519, rsa, secp256k1
from libp2p.crypto.pb import crypto_pb2
from libp2p.crypto.serialization import deserialize_public_key
from libp2p.peer.id import ID
from report import Report
from swift import Swift

SEED = "Ed25519 private keys: py-libp2p writes the seed alone; the specification wants seed and public key"
ECDSA = "ECDSA: py-libp2p does not read the key type; `cryptography` does it here"

_CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}


def _message(kind: int, data: bytes) -> bytes:
    return crypto_pb2.PublicKey(key_type=kind, data=data).SerializeToString()


@dataclass
class Kind:
    """How the other side makes, reads and uses keys of one kind."""

    name: str
    make: Callable[[], object]
    private: Callable[[object], bytes]
    public: Callable[[object], bytes]
    sign: Callable[[object, bytes], bytes]
    load: Callable[[bytes], object]
    """The private key of our message."""
    verify: Callable[[bytes, bytes, bytes], bool]
    """A public key message, a message and a signature."""


def _py_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    return deserialize_public_key(public).verify(message, signature)


def _data(message: bytes) -> bytes:
    return crypto_pb2.PublicKey.FromString(message).data


def _ecdsa(name: str) -> Kind:
    curve = _CURVES[name]

    def verify(public: bytes, message: bytes, signature: bytes) -> bool:
        key = serialization.load_der_public_key(_data(public))
        try:
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))  # type: ignore[union-attr,call-arg]
        except InvalidSignature:
            return False
        return True

    def private(key: object) -> bytes:
        der = key.private_bytes(  # type: ignore[attr-defined]
            serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return _message(3, der)

    def public(key: object) -> bytes:
        der = key.public_key().public_bytes(  # type: ignore[attr-defined]
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return _message(3, der)

    return Kind(
        f"ecdsa {name}",
        lambda: ec.generate_private_key(curve),
        private,
        public,
        lambda key, message: key.sign(message, ec.ECDSA(hashes.SHA256())),  # type: ignore[attr-defined]
        lambda message: serialization.load_der_private_key(_data(message), None),
        verify,
    )


def _libp2p(name: str, make: Callable[[], object], load: Callable[[bytes], object]) -> Kind:
    return Kind(
        name,
        make,
        lambda pair: pair.private_key.serialize(),  # type: ignore[attr-defined]
        lambda pair: pair.public_key.serialize(),  # type: ignore[attr-defined]
        lambda pair, message: pair.private_key.sign(message),  # type: ignore[attr-defined]
        load,
        _py_verify,
    )


def kinds(source: random.Random) -> list[tuple[Kind, str, int]]:
    """Each kind, its name on our side, and the divisor of the count: RSA keys take a tenth of a second to make."""
    return [
        (_libp2p("ed25519", lambda: ed25519.create_new_key_pair(source.randbytes(32)),
                 lambda message: ed25519.Ed25519PrivateKey.from_bytes(_data(message)[:32])), "ed25519", 1),
        (_libp2p("secp256k1", lambda: secp256k1.create_new_key_pair(source.randbytes(32)),
                 lambda message: secp256k1.Secp256k1PrivateKey.from_bytes(_data(message))), "secp256k1", 1),
        (_ecdsa("p256"), "p256", 1),
        (_ecdsa("p384"), "p384", 1),
        (_ecdsa("p521"), "p521", 1),
        (_libp2p("rsa 2048", lambda: rsa.create_new_key_pair(2048),
                 lambda message: rsa.RSAPrivateKey.from_bytes(_data(message))), "rsa2048", 50),
        (_libp2p("rsa 3072", lambda: rsa.create_new_key_pair(3072),
                 lambda message: rsa.RSAPrivateKey.from_bytes(_data(message))), "rsa3072", 200),
    ]  # fmt: skip


def theirs(swift: Swift, kind: Kind, count: int, source: random.Random, report: Report) -> None:
    what = f"{kind.name} keys of theirs: message, peer ID and signatures both ways"
    for _ in range(count):
        key = kind.make()
        private, public, message = kind.private(key), kind.public(key), source.randbytes(source.randrange(200))
        if kind.name == "ed25519":
            report.difference(SEED, len(_data(private)) == 32)
            private, our_public, our_peer = swift.values("seed", _data(private))
        else:
            again, our_public, our_peer = swift.values("private", private)
            report.check(f"{kind.name} private keys of theirs, written by us to the same bytes", again == private)
        canonical, peer_bytes, _ = swift.values("public", public)
        peer = _peer(kind, public)
        same = our_public == canonical == public and our_peer.decode() == str(peer) and peer_bytes == peer.to_bytes()
        valid = swift.ask("verify", public, message, kind.sign(key, message)) == ["true"]
        stranger = swift.ask("verify", public, message + b"x", kind.sign(key, message)) == ["false"]
        mine = swift.values("sign", private, message)[0]
        report.check(what, same and valid and stranger and kind.verify(public, message, mine), private.hex())


def ours(swift: Swift, kind: Kind, name: str, count: int, source: random.Random, report: Report) -> None:
    what = f"{kind.name} keys of ours, read by them, signatures both ways"
    for _ in range(count):
        private, public, peer = swift.values("generate", name)
        message = source.randbytes(source.randrange(200))
        loaded = kind.load(private)
        if kind.name.startswith("ecdsa"):
            signature, again = kind.sign(loaded, message), kind.public(loaded)
        else:
            signature, again = loaded.sign(message), loaded.get_public_key().serialize()  # type: ignore[attr-defined]
        good = again == public and str(_peer(kind, public)) == peer.decode()
        good = good and swift.ask("verify", public, message, signature) == ["true"]
        mine = swift.values("sign", private, message)[0]
        good = good and kind.verify(public, message, mine) and not kind.verify(public, message + b"x", mine)
        report.check(what, good, private.hex())


def _peer(kind: Kind, public: bytes) -> ID:
    if not kind.name.startswith("ecdsa"):
        return ID.from_pubkey(deserialize_public_key(public))
    import hashlib

    return ID(b"\x12\x20" + hashlib.sha256(public).digest())


def peers(swift: Swift, count: int, source: random.Random, report: Report) -> None:
    """Every text form of a peer ID, through both."""
    import multibase

    what = "peer IDs in base58btc, base32 and base36"
    for _ in range(count):
        raw = b"\x12\x20" + source.randbytes(32)
        if source.random() < 0.5:
            raw = b"\x00\x24\x08\x01\x12\x20" + source.randbytes(32)
        peer = ID(raw)
        ours_raw, base58, base32, base36 = swift.values("peer", peer.to_base58().encode())
        good = ours_raw == raw and base58.decode() == peer.to_base58() == str(ID.from_base58(base58.decode()))
        for text, base in ((base32, "base32"), (base36, "base36")):
            cid = b"\x01\x72" + raw
            good = good and multibase.encode(base, cid) == text and swift.values("peer", text)[0] == raw
        report.check(what, good, raw.hex())
