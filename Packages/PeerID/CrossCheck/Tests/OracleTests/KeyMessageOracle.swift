import Foundation
import PeerID
import SwiftProtobuf
import Testing

/// The key message of the peer-ids specification (proto2), read and written by swift-protobuf. Written by hand, because
/// it is only this.
struct KeyMessage: SwiftProtobuf.Message, Hashable {
    enum Kind: Int, SwiftProtobuf.Enum {
        case rsa = 0
        case ed25519 = 1
        case secp256k1 = 2
        case ecdsa = 3

        init() { self = .rsa }
    }

    static let protoMessageName = "crypto.pb.PublicKey"
    var kind: Kind?
    var data: Data?
    var unknownFields = UnknownStorage()

    init() {}

    var isInitialized: Bool { kind != nil && data != nil }

    mutating func decodeMessage<D: Decoder>(decoder: inout D) throws {
        while let field = try decoder.nextFieldNumber() {
            switch field {
            case 1: try decoder.decodeSingularEnumField(value: &kind)
            case 2: try decoder.decodeSingularBytesField(value: &data)
            default: break
            }
        }
    }

    func traverse<V: Visitor>(visitor: inout V) throws {
        if let kind { try visitor.visitSingularEnumField(value: kind, fieldNumber: 1) }
        if let data { try visitor.visitSingularBytesField(value: data, fieldNumber: 2) }
        try unknownFields.traverse(visitor: &visitor)
    }

    /// Only what the specification knows.
    var withoutUnknownFields: KeyMessage {
        var message = self
        message.unknownFields = UnknownStorage()
        return message
    }

    func isEqualTo(message: any SwiftProtobuf.Message) -> Bool { (message as? KeyMessage) == self }
}

@Suite struct KeyMessageOracle {
    static let keys: [PrivateKey] = {
        var made: [PrivateKey] = [.ed25519()]
        for make: () throws -> PrivateKey in [
            { try .secp256k1() }, { try .ecdsa(.p256) }, { try .ecdsa(.p384) }, { try .ecdsa(.p521) }, { try .rsa() },
        ] {
            if let key = try? make() { made.append(key) }
        }
        return made
    }()

    @Test func keysAreWrittenAsSwiftProtobufWritesThem() throws {
        #expect(Self.keys.count == 6)
        for key in Self.keys {
            for bytes in [key.protobuf, key.publicKey.protobuf] {
                let message = try KeyMessage(serializedBytes: bytes)
                #expect(message.kind?.rawValue == Int(key.type.rawValue))
                #expect(try message.serializedBytes() == bytes)
            }
            #expect(try KeyMessage(serializedBytes: key.publicKey.protobuf).data == Data(key.publicKey.rawBytes))
        }
    }

    @Test func whatIsReadIsExactlyWhatSwiftProtobufWouldWrite() throws {
        var random = Random.announced("key messages")
        var (accepted, refused, otherEncodings) = (0, 0, 0)
        for _ in 0..<20_000 {
            let bytes = random.message(of: Self.keys)
            let ours = try? PublicKey(protobuf: bytes)
            guard let oracle = try? KeyMessage(serializedBytes: bytes), let kind = oracle.kind, let data = oracle.data
            else {
                #expect(ours == nil, "only we read \(hex(bytes))")
                refused += 1
                continue
            }
            if try oracle.withoutUnknownFields.serializedBytes() == bytes {
                let type = KeyType(rawValue: .init(kind.rawValue))
                #expect(ours == (try? PublicKey(type: type, rawBytes: [UInt8](data))))
                accepted += 1
            } else {
                #expect(ours == nil, "a second encoding is read: \(hex(bytes))")
                otherEncodings += 1
            }
        }
        print("key messages: \(accepted) canonical, \(refused) refused by both, \(otherEncodings) second encodings")
        #expect(accepted > 1000 && refused > 1000 && otherEncodings > 1000)
    }
}

/// The same numbers for the same seed everywhere.
struct Random: RandomNumberGenerator {
    var state: UInt64

    static func announced(_ name: String) -> Random {
        let given = ProcessInfo.processInfo.environment["PEERID_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: .min ... .max)
        print("oracle \(name): PEERID_SEED=\(seed)")
        return Random(state: seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }

    private mutating func varint(_ value: UInt64) -> [UInt8] {
        var (out, rest): ([UInt8], UInt64) = ([], value)
        while rest > 0x7f {
            out.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        out.append(UInt8(rest))
        // Sometimes longer than it has to be.
        guard Int.random(in: 0..<8, using: &self) == 0, out.count < 9 else { return out }
        out[out.count - 1] |= 0x80
        return out + [0x00]
    }

    /// A key message with its fields in any order, repeated, missing, of other kinds, and damaged.
    mutating func message(of keys: [PrivateKey]) -> [UInt8] {
        guard let key = keys.randomElement(using: &self)?.publicKey else { return [] }
        var fields: [[UInt8]] = [
            varint(1 << 3) + varint(UInt64(key.type.rawValue)),
            varint(2 << 3 | 2) + varint(UInt64(key.rawBytes.count)) + key.rawBytes,
        ]
        for _ in 0..<Int.random(in: 0...3, using: &self) {
            let field = UInt64.random(in: 1...6, using: &self)
            let extra: [UInt8] =
                switch Int.random(in: 0..<8, using: &self) {
                case 0, 1: varint(field << 3) + varint(UInt64.random(in: 0...5, using: &self))
                case 2: varint(field << 3) + varint(next())
                case 3: varint(field << 3 | 1) + bytes(8)
                case 4: varint(field << 3 | 5) + bytes(4)
                case 5: varint(field << 3 | 3) + varint(7 << 3) + [1] + varint(field << 3 | 4)
                default: varint(field << 3 | 2) + [3] + bytes(3)
                }
            fields.insert(extra, at: Int.random(in: 0...fields.count, using: &self))
        }
        if Int.random(in: 0..<4, using: &self) == 0 { fields.shuffle(using: &self) }
        var message = fields.flatMap(\.self)
        if Int.random(in: 0..<4, using: &self) == 0 {
            let index = Int.random(in: 0..<message.count, using: &self)
            switch Int.random(in: 0..<3, using: &self) {
            case 0: message[index] ^= 1 << UInt8.random(in: 0..<8, using: &self)
            case 1: message.remove(at: index)
            default: message.removeLast(message.count - index)
            }
        }
        return message
    }
}

func hex(_ bytes: [UInt8]) -> String { bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
