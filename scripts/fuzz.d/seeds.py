"""Writes the seeds of the fuzzers into Corpus, from the test vectors of the packages. Run it after vectors were added:

    python3 scripts/fuzz.d/seeds.py

A seed's name begins with "seed-" and ends in a hash of its content, so a second run changes nothing. Inputs that a
fuzzer found and that are worth keeping have other names and are left alone.
"""

import hashlib
import json
import pathlib
import re
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = HERE.parent.parent / "Packages"


def vectors(package, tests, name):
    return json.loads((PACKAGES / package / "Tests" / tests / "Vectors" / f"{name}.json").read_text())


def strings(value, key=""):
    """Every text in a JSON value, with the key it stands under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield "", name
            yield from strings(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, key)
    elif isinstance(value, str):
        yield key, value


class Corpus:
    def __init__(self, target):
        self.folder = HERE / "Corpus" / target
        self.written = set()

    def add(self, content):
        if isinstance(content, str):
            content = content.encode()
        name = "seed-" + hashlib.sha256(content).hexdigest()[:12]
        self.written.add(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)

    def finish(self):
        for stale in self.folder.glob("seed-*"):
            if stale.name not in self.written:
                stale.unlink()
        print(f"{self.folder.name}: {len(self.written)} seeds")


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def addresses():
    text, binary = Corpus("multiaddr-text"), Corpus("multiaddr-binary")
    known = {entry["name"] for entry in vectors("Multiaddr", "MultiaddrTests", "multiaddr_protocols")["protocols"]}
    for name in sorted(known):
        text.add(f"/{name}")
    for key, value in strings(vectors("Multiaddr", "MultiaddrTests", "multiaddr_vectors")):
        if value.startswith("/") and len(value) < 1024:
            text.add(value)
        elif key == "hex" and re.fullmatch(r"(?:[0-9a-f]{2})+", value):
            binary.add(bytes.fromhex(value))
    for code, value in [
        (42, b"eth0"), (43, b"\x18"), (53, b"example.com"), (400, b"/run/x.sock"), (421, b"\x00\x01\x07"),
        (421, b"\x12\x20" + bytes(32)), (444, bytes(11) + b"\x01"), (445, bytes(36) + b"\x01"), (446, bytes(386)),
        (447, bytes(32)), (449, b"example.com"), (466, b"\x12\x20" + bytes(32)), (481, b"a/b c"), (777, b"1234"),
    ]:
        fixed = code in (43, 444, 445)
        binary.add(varint(code) + (b"" if fixed else varint(len(value))) + value)
    text.finish()
    binary.finish()


def multiformats():
    corpus = Corpus("multiformats")
    for name in ("multibase_vectors", "multihash_vectors", "uvarint_vectors"):
        for key, value in strings(vectors("Multiaddr", "MultiaddrTests", name)):
            if key == "text":
                corpus.add(value.strip('"'))
            elif key.lower().endswith("hex") and re.fullmatch(r"(?:[0-9a-f]{2})*", value):
                corpus.add(bytes.fromhex(value))
    for key, value in strings(vectors("PeerID", "PeerIDTests", "peer_id_text_forms")):
        if key.startswith("cid") or key == "base58btc":
            corpus.add(value)
    corpus.finish()


def dns():
    corpus = Corpus("dns-message")
    question = b"\x08_dnsaddr\x07example\x03com\x00\x00\x10\x00\x01"
    record = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c"
    for texts in ([b"dnsaddr=/ip4/1.2.3.4"], [b"a", b"b"], [b""], []):
        content = b"".join(bytes([len(text)]) + text for text in texts)
        answer = record + len(content).to_bytes(2, "big") + content
        for count in (0, 1, 2):
            corpus.add(b"\x12\x34\x81\x80\x00\x01" + bytes([0, count]) + bytes(4) + question + answer * count)
    corpus.finish()


def keys():
    protobuf, peers, signature = Corpus("key-protobuf"), Corpus("peer-id"), Corpus("signature")
    for name in ("peer_id_keys_spec", "foreign_keys", "key_rejections"):
        for key, value in strings(vectors("PeerID", "PeerIDTests", name)):
            if key.lower().endswith("protobufhex") and len(value) <= 4096:
                protobuf.add(bytes.fromhex(value))
            elif key in ("peerID", "base58btc") or key.startswith("cid"):
                peers.add(value)
            elif key == "multihashHex":
                peers.add(bytes.fromhex(value))
            elif key == "signatureHex":
                for kind in range(6):
                    signature.add(bytes([kind]) + bytes.fromhex(value))
    for key, value in strings(vectors("PeerID", "PeerIDTests", "peer_id_text_forms")):
        if key == "text" or key == "base58btc" or key.startswith("cidV1"):
            peers.add(value)
        elif key == "multihashHex":
            peers.add(bytes.fromhex(value))
    for corpus in (protobuf, peers, signature):
        corpus.finish()


def certificates():
    certificate, message, extension = Corpus("certificate"), Corpus("certificate-message"), Corpus("extension")
    for name in ("tls_certificates", "rust_tls_certificates"):
        for key, value in strings(vectors("Libp2pTLS", "Libp2pTLSTests", name)):
            if key != "certificateDerHex":
                continue
            der = bytes.fromhex(value)
            certificate.add(der)
            entry = len(der).to_bytes(3, "big") + der + b"\x00\x00"
            for count in (1, 2):
                chain = entry * count
                message.add(b"\x00" + len(chain).to_bytes(3, "big") + chain)
            # The extension's value follows its object identifier, perhaps a TRUE, and the header of an OCTET STRING.
            start = der.find(bytes.fromhex("060a2b0601040183a25a0101"))
            at = der.find(b"\x04", start + 12)
            if start >= 0 and at >= 0:
                extension.add(der[at + 2:at + 2 + der[at + 1]] if der[at + 1] < 0x80 else der[at + 3:at + 3 + der[at + 2]])
    message.add(bytes(4))
    for corpus in (certificate, message, extension):
        corpus.finish()


def packets():
    headers, guard = Corpus("packet-header"), Corpus("frame-guard")
    for key, value in strings(vectors("QuicTransport", "QuicCoreTests", "quic_vectors")):
        if key.lower().startswith(("hex", "datagram", "packet")) and re.fullmatch(r"(?:[0-9a-f]{2}){5,}", value):
            headers.add(bytes.fromhex(value))
    frames = [
        "01", "0243e8030205010241 2c4046".replace(" ", ""), "03090000000102404601", "0404010203", "050401",
        "0600026162", "0703616263", "0804", "0a040161", "0e04040161", "0f04040161", "1044b0", "110444b0", "120a",
        "14 0a".replace(" ", ""), "150404", "160a", "1a0102030405060708", "1b0102030405060708", "1e",
        "1800 00 08abababababababab".replace(" ", "") + "00" * 16, "180102 08abababababababab".replace(" ", "") + "00" * 16,
        "1901", "1c0a0000", "1d0a00", "3004616263",
    ]
    for space in range(4):
        whole = b""
        for frame in frames:
            content = bytes.fromhex(frame)
            entry = len(content).to_bytes(2, "big") + bytes([space]) + content
            if space == 3:
                guard.add(entry)
            whole += entry
        guard.add(whole)
    for corpus in (headers, guard):
        corpus.finish()


def negotiations():
    dialer, listener = Corpus("multistream-dialer"), Corpus("multistream-listener")
    for transcript in vectors("Host", "HostTests", "multistream_transcripts")["transcripts"]:
        said = {"initiator": b"", "responder": b""}
        for step in transcript["steps"]:
            said[step["from"]] += bytes.fromhex(step["hex"])
        for cut in (0, 6, 63):
            for count in range(1, 6):
                dialer.add(bytes([count, cut]) + said["responder"])
            for spoken in (0, 4, 31):
                listener.add(bytes([spoken, cut]) + said["initiator"])
    header = bytes.fromhex("132f6d756c746973747265616d2f312e302e300a")
    # Lines at and beyond the limit, lengths that are not minimal or too long, lines without an end.
    for line in (varint(1024) + b"a" * 1023 + b"\n", varint(1025) + b"a" * 1024 + b"\n", b"\x83\x00na\n", b"\xff\xff\x01",
                 b"\x00", b"\x01\n", b"\x03naa", b"\x03ls\n" * 4, b"\x03na\n" * 300, header):
        dialer.add(b"\x02\x01" + header + line)
        listener.add(b"\x1f\x01" + header + line)
    for corpus in (dialer, listener):
        corpus.finish()


def field(number, content):
    """A field of a protobuf: bytes, or a number."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def sign(content):
    """The signature by the Ed25519 key of 32 zero bytes, whose peer the fuzzers take for the one that speaks."""
    with tempfile.NamedTemporaryFile() as key, tempfile.NamedTemporaryFile() as text:
        key.write(bytes.fromhex("302e020100300506032b657004220420") + bytes(32))
        text.write(content)
        key.flush()
        text.flush()
        return subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", key.name, "-in", text.name],
            check=True, capture_output=True,
        ).stdout


def identities():
    identify, envelope = Corpus("identify"), Corpus("signed-envelope")
    key = field(1, 1) + field(2, bytes.fromhex("3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"))
    # Short keys are their own hash.
    peer = b"\x00" + varint(len(key)) + key
    quic = bytes.fromhex("04c0000201910211cd03")
    addresses = [quic, b"\x04\x7f\x00\x00\x01\x91\x02\x00\x01\xcd\x03", b"\xff\xff\x7f", b""]
    for count in (0, 1, 4, 600):
        record = field(1, peer) + field(2, 7)
        for index in range(count):
            record += field(3, field(1, addresses[index % len(addresses)]))
        envelope.add(b"\x01" + record)
        for domain, kind in ((b"libp2p-peer-record", b"\x03\x01"), (b"libp2p-relay-rsvp", b"\x03\x02")):
            signed = sign(b"".join(varint(len(part)) + part for part in (domain, kind, record)))
            whole = field(1, key) + field(2, kind) + field(3, record) + field(5, signed)
            envelope.add(b"\x00" + whole)
            if count <= 4:
                identify.add(b"\x00" + varint(len(field(8, whole))) + field(8, whole))
    whole = (field(1, key) + field(2, quic) + field(3, b"/ipfs/id/1.0.0") + field(3, b"na") + field(3, b"x" * 1500)
             + field(4, quic) + field(5, b"ipfs/0.1.0") + field(6, "\u00e9".encode() * 200) + field(99, b"unknown"))
    # One more byte, so that the limit of texts lies within a character.
    text = field(6, b"a" + "\u00e9".encode() * 200)
    identify.add(b"\x00" + varint(len(text)) + text)
    for told in (0, 1, 2, 4, 5, 8, 12):
        identify.add(bytes([told]) + varint(len(whole)) + whole)
        identify.add(bytes([told]) + (varint(len(field(3, b"/a"))) + field(3, b"/a")) * 10)
    identify.add(b"\x00" + varint(8192) + b"\x0a")
    identify.add(b"\x00" + varint(8193) + b"\x0a")
    for corpus in (identify, envelope):
        corpus.finish()


for part in (addresses, multiformats, dns, keys, certificates, packets, negotiations, identities):
    part()
