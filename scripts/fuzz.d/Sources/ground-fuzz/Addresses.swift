import FuzzSupport

@testable import Multiaddr

/// Text from outside: what is accepted prints, reads back and is the same address; errors point into the text.
@Sendable func fuzzMultiaddrText(_ input: [UInt8]) {
    let text = String(decoding: input, as: UTF8.self)
    do throws(MultiaddrError) {
        let address = try Multiaddr(parsing: text)
        check(address)
    } catch {
        promise((error.offset ?? 0) <= text.utf8.count, "an offset points into the text")
        _ = error.description
    }
}

/// Bytes from outside: what is accepted is canonical and prints as text that reads back; errors point into the bytes.
@Sendable func fuzzMultiaddrBinary(_ input: [UInt8]) {
    do throws(MultiaddrError) {
        let address = try Multiaddr(bytes: input)
        promise(address.bytes == input, "accepted bytes are kept")
        check(address)
    } catch {
        promise((error.offset ?? 0) <= input.count, "an offset points into the bytes")
        _ = error.description
    }
}

private func check(_ address: Multiaddr) {
    let text = address.description
    promise((try? Multiaddr(parsing: text)) == address, "printed text reads back")
    promise((try? Multiaddr(bytes: address.bytes)) == address, "bytes read back")
    promise((try? Multiaddr(Array(address.components))) == address, "components make the address again")
    var rest = address
    var count = 0
    while let (first, tail) = rest.splitFirst() {
        if let value = first.text {
            promise((try? Multiaddr.Component(first.proto, text: value)) == first, "a value's text reads back")
        }
        promise(address.contains(first.proto) && address.value(of: first.proto) != nil, "a component is found")
        _ = (first.port, first.hostName, first.multihash, first.path, first.onionHost, first.ip4Address, first.zone)
        rest = tail
        count += 1
    }
    promise(count == address.components.count && count == address.split().count, "components are counted alike")
    if let (head, last) = address.splitLast() {
        promise(address.hasPrefix(head) && address.hasSuffix(Multiaddr(last)), "both ends are found")
        promise(head.isEmpty || address.decapsulating(last.proto).bytes.count <= head.bytes.count, "decapsulates")
    }
    promise(address.isQuic == (address.quicEndpoint != nil), "a QUIC address has an endpoint")
    if let endpoint = address.quicEndpoint, let again = try? endpoint.multiaddr() {
        promise(again.quicEndpoint == endpoint, "an endpoint survives")
    }
    _ = (address.peerIDBytes, address.normalizedQuic, address.quicVersion, address.dialTarget, address.isRelayed)
}

/// The encodings below an address. The first byte only chooses nothing: every reader sees the whole input.
@Sendable func fuzzMultiformats(_ input: [UInt8]) {
    let text = String(decoding: input, as: UTF8.self)
    if let (base, bytes) = try? Multibase.decode(text) {
        promise((try? Multibase.decode(Multibase.encode(bytes, as: base)))?.bytes == bytes, "multibase survives")
    }
    if let bytes = try? Base58BTC.decode(text) { promise(Base58BTC.encode(bytes) == text, "base58 has one text") }
    if let cid = try? CIDv1(parsing: text) {
        promise((try? CIDv1(parsing: cid.description)) == cid && (try? CIDv1(bytes: cid.bytes)) == cid, "CIDs survive")
    }
    if let cid = try? CIDv1(bytes: input) { promise(cid.bytes == input, "a CID has one binary form") }
    if let hash = try? Multihash(bytes: input) { promise(hash.bytes == input, "a multihash has one binary form") }
    if let (value, length) = try? Varint.decode(from: input) {
        promise(Varint.encode(value) == Array(input.prefix(length)), "a varint has one form")
    }
}

/// The answer of a DNS server.
@Sendable func fuzzDNSMessage(_ input: [UInt8]) {
    let records = DNSMessage.textRecords(in: input.span)
    promise(records.reduce(0) { $0 + $1.count } <= input.count, "records are part of the message")
}
