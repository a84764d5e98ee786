import Foundation
import Testing

@testable import Multiaddr

/// Makes addresses of any protocols with any values that fit them.
private struct AddressMaker {
    var random: SeededGenerator

    mutating func name() -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789-._%~é漢")
        return String(
            (0..<Int.random(in: 1...20, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" }
        )
    }

    mutating func multihash(_ peer: Bool) -> [UInt8] {
        if Bool.random(using: &random) { return [0x12, 0x20] + random.bytes(32) }
        let count = Int.random(in: 0...(peer ? 42 : 127), using: &random)
        return [0x00, UInt8(count)] + random.bytes(count)
    }

    mutating func value(_ info: ProtocolInfo) -> [UInt8] {
        switch info.kind {
        case .none: return []
        case .ip4, .port, .cidr, .memory: return random.bytes(info.size)
        case .ip6:
            // Zeros often, for the runs that are shortened, and IPv4-mapped ones.
            if Int.random(in: 0..<8, using: &random) == 0 {
                return [UInt8](repeating: 0, count: 10) + [0xff, 0xff] + random.bytes(4)
            }
            return (0..<8).flatMap { _ in Bool.random(using: &random) ? [0, 0] : random.bytes(2) }
        case .onion, .onion3: return random.bytes(info.size - 1) + [1]
        case .text: return Array(name().utf8)
        case .unixPath: return Array("/\(name())/\(name())".utf8)
        case .httpPath: return random.bytes(Int.random(in: 1...40, using: &random)).map { $0 == 0 ? 47 : $0 }
        case .peerID: return multihash(true)
        case .certhash: return multihash(false)
        case .garlic64: return random.bytes(Int.random(in: 386...462, using: &random))
        case .garlic32:
            return random.bytes(Bool.random(using: &random) ? 32 : Int.random(in: 35...60, using: &random))
        }
    }

    mutating func address() throws -> Multiaddr {
        var components: [Multiaddr.Component] = []
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            guard let info = ProtocolTable.entries.randomElement(using: &random) else { break }
            components.append(try Multiaddr.Component(info.proto, value: value(info)))
            if info.kind == .unixPath { break }
        }
        return try Multiaddr(components)
    }
}

@Suite struct RoundTrips {
    static let cases = 10_000

    @Test func addressesSurviveTextAndBinaryAndComponents() throws {
        var maker = AddressMaker(random: .announced("addresses"))
        for _ in 0..<Self.cases {
            let address = try maker.address()
            let text = address.description
            #expect(try Multiaddr(parsing: text) == address, "\(hex(address.bytes))")
            #expect(try Multiaddr(bytes: address.bytes).description == text)
            #expect(try Multiaddr(Array(address.components)) == address)
            for component in address.components where component.text != nil {
                let copy = try Multiaddr.Component(component.proto, text: component.text ?? "")
                #expect(copy == component)
            }
        }
    }

    @Test func damagedBinaryIsRejectedOrCanonical() throws {
        var maker = AddressMaker(random: .announced("damaged binary"))
        for _ in 0..<Self.cases {
            var bytes = try maker.address().bytes
            for _ in 0..<Int.random(in: 1...3, using: &maker.random) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &maker.random)
                switch Int.random(in: 0..<3, using: &maker.random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &maker.random)
                case 1: bytes.remove(at: index)
                default: bytes.insert(UInt8.random(in: 0...255, using: &maker.random), at: index)
                }
            }
            guard let address = try? Multiaddr(bytes: bytes) else { continue }
            #expect(address.bytes == bytes)
            #expect(try Multiaddr(parsing: address.description).bytes == bytes, "\(hex(bytes))")
        }
    }

    @Test func damagedTextIsRejectedOrReadsBackTheSame() throws {
        var maker = AddressMaker(random: .announced("damaged text"))
        for _ in 0..<Self.cases {
            var text = Array(try maker.address().description.utf8)
            let index = Int.random(in: 0..<text.count, using: &maker.random)
            if Bool.random(using: &maker.random) {
                text[index] = UInt8.random(in: 0...127, using: &maker.random)
            } else {
                text.remove(at: index)
            }
            guard let address = try? Multiaddr(parsing: String(decoding: text, as: UTF8.self)) else { continue }
            #expect(try Multiaddr(parsing: address.description) == address)
            #expect(try Multiaddr(bytes: address.bytes) == address)
        }
    }

    @Test func randomBytesNeverDoMoreThanFail() {
        var random = SeededGenerator.announced("random bytes")
        for _ in 0..<Self.cases {
            let bytes = random.bytes(Int.random(in: 0...64, using: &random))
            if let address = try? Multiaddr(bytes: bytes) { #expect(Multiaddr(address.description) == address) }
            _ = try? Multihash(bytes: bytes)
            _ = try? CIDv1(bytes: bytes)
            _ = try? Varint.decode(from: bytes)
            let text = String(decoding: bytes, as: UTF8.self)
            _ = try? Multiaddr(parsing: text)
            _ = try? Multibase.decode(text)
        }
    }

    @Test func everyMultibaseSurvives() throws {
        var random = SeededGenerator.announced("multibase")
        for index in 0..<Self.cases {
            let zeros = [UInt8](repeating: 0, count: Int.random(in: 0...2, using: &random))
            let bytes = zeros + random.bytes(Int.random(in: 0...(index % 100 == 0 ? 400 : 90), using: &random))
            let base = Multibase.allCases[index % Multibase.allCases.count]
            let decoded = try Multibase.decode(Multibase.encode(bytes, as: base))
            #expect(decoded.base == base && decoded.bytes == bytes, "\(base) \(hex(bytes))")
            #expect(try Base58BTC.decode(Base58BTC.encode(bytes)) == bytes)
        }
    }

    @Test func varintsSurvive() throws {
        var random = SeededGenerator.announced("varints")
        for _ in 0..<Self.cases {
            let value = (random.next() >> 1) >> UInt64.random(in: 0..<63, using: &random)
            let bytes = Varint.encode(value)
            #expect(bytes.count <= 9 && bytes.count == Varint.length(of: value))
            let decoded = try Varint.decode(from: ([0xff] + bytes + [0x01])[1...])
            #expect(decoded.value == value && decoded.length == bytes.count)
        }
    }

    @Test func identifiersOfContentSurviveEveryBase() throws {
        var maker = AddressMaker(random: .announced("CIDs"))
        for index in 0..<Self.cases {
            let codec = maker.random.next() >> UInt64.random(in: 1...63, using: &maker.random)
            let cid = CIDv1(codec: codec, multihash: try Multihash(bytes: maker.multihash(false)))
            #expect(try CIDv1(parsing: cid.text(in: Multibase.allCases[index % Multibase.allCases.count])) == cid)
            #expect(try CIDv1(bytes: cid.bytes) == cid)
        }
    }

    @Test func internetAddressesPrintAsTheSystemDoes() throws {
        var maker = AddressMaker(random: .announced("inet_ntop"))
        let info = try #require(ProtocolTable.info(code: 41))
        for _ in 0..<Self.cases {
            var bytes = maker.value(info)
            // The system also prints the deprecated IPv4-compatible form (::1.2.3.4); RFC 5952 does not.
            if bytes.prefix(12).allSatisfy({ $0 == 0 }) { bytes[0] = 0x20 }
            var buffer = [CChar](repeating: 0, count: 64)
            _ = bytes.withUnsafeBytes { inet_ntop(AF_INET6, $0.baseAddress, &buffer, 64) }
            let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            #expect(try Multiaddr.Component(.ip6, value: bytes).text == text)
            #expect(try Multiaddr.Component(.ip6, text: text).value == bytes)
        }
    }
}
