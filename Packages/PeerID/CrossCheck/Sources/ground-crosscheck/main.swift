import Glibc
import Multiaddr
import PeerID

// Answers one line for each line it reads: `ok` and values, or `error` and a code. Everything is in hexadecimal, so that
// no value needs quoting. scripts/interop.d/ground speaks to it.

/// What a command was given wrongly; ends the process, because only the driver beside it speaks to this program.
struct BadCommand: Error {}

func unhex(_ text: Substring) throws -> [UInt8] {
    let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count == text.utf8.count, digits.count % 2 == 0 else { throw BadCommand() }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    // An empty value still has to be a word.
    let text = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    return text.isEmpty ? "-" : text
}

func text(_ word: Substring) throws -> String { String(decoding: try unhex(word), as: UTF8.self) }

func generate(_ kind: Substring) throws -> PrivateKey {
    switch kind {
    case "ed25519": .ed25519()
    case "secp256k1": try .secp256k1()
    case "p256": try .ecdsa(.p256)
    case "p384": try .ecdsa(.p384)
    case "p521": try .ecdsa(.p521)
    case "rsa2048": try .rsa()
    case "rsa3072": try .rsa(bits: 3072)
    default: throw BadCommand()
    }
}

func answer(_ words: [Substring], _ maker: inout AddressMaker) throws -> [String] {
    let arguments = words.dropFirst().map { $0 == "-" ? "" : $0 }
    switch (words.first, arguments.count) {
    case ("parse", 1):
        let address = try Multiaddr(parsing: text(arguments[0]))
        return [hex(address.bytes), hex(address.description.utf8)]
    case ("read", 1):
        let address = try Multiaddr(bytes: unhex(arguments[0]))
        return [hex(address.bytes), hex(address.description.utf8)]
    case ("address", 0):
        let address = try maker.address()
        return [hex(address.bytes), hex(address.description.utf8)]
    case ("peer", 1):
        let peer = try PeerID(parsing: text(arguments[0]))
        return [hex(peer.bytes), hex(peer.description.utf8), hex(peer.cid.utf8), hex(peer.cid(in: .base36).utf8)]
    case ("generate", 1):
        let key = try generate(arguments[0])
        return [hex(key.protobuf), hex(key.publicKey.protobuf), hex(key.peerID.description.utf8)]
    case ("seed", 1):
        let key = try PrivateKey.ed25519(seed: unhex(arguments[0]))
        return [hex(key.protobuf), hex(key.publicKey.protobuf), hex(key.peerID.description.utf8)]
    case ("private", 1):
        let key = try PrivateKey(protobuf: unhex(arguments[0]))
        return [hex(key.protobuf), hex(key.publicKey.protobuf), hex(key.peerID.description.utf8)]
    case ("public", 1):
        let key = try PublicKey(protobuf: unhex(arguments[0]))
        return [hex(key.protobuf), hex(key.peerID.bytes), hex(key.peerID.description.utf8)]
    case ("sign", 2):
        return [hex(try PrivateKey(protobuf: unhex(arguments[0])).sign(unhex(arguments[1])))]
    case ("verify", 3):
        let key = try PublicKey(protobuf: unhex(arguments[0]))
        return [key.isValidSignature(try unhex(arguments[2]), for: try unhex(arguments[1])) ? "true" : "false"]
    default:
        throw BadCommand()
    }
}

/// Ends the process with a line on standard error.
func give(up text: String) -> Never {
    let bytes = Array("ground-crosscheck: \(text)\n".utf8)
    _ = write(2, bytes, bytes.count)
    exit(2)
}

guard CommandLine.arguments.count == 2, let seed = UInt64(CommandLine.arguments[1]) else {
    give(up: "usage: ground-crosscheck SEED")
}
var maker = AddressMaker(seed: seed)
while let line = readLine() {
    do {
        print((["ok"] + (try answer(line.split(separator: " "), &maker))).joined(separator: " "))
    } catch let error as MultiaddrError {
        print("error \(error.code)")
    } catch let error as PeerIDError {
        print("error \(error.code)")
    } catch {
        give(up: "cannot understand: \(line.prefix(200))")
    }
    fflush(nil)
}
