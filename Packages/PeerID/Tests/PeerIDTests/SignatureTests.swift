import PeerID
import Testing

@Suite struct SignatureTests {
    @Test func everyKeyTypeSignsVerifiesAndSurvivesEncoding() throws {
        #expect(sampleKeys.count == 6)
        for key in sampleKeys {
            for message in [[], [0], Array("hello".utf8), [UInt8](repeating: 0xa5, count: 100_000)] {
                let signature = try key.sign(message)
                #expect(key.publicKey.isValidSignature(signature, for: message), "\(key)")
                #expect(!key.publicKey.isValidSignature(signature, for: message + [0]), "\(key)")
            }
            let again = try PrivateKey(protobuf: key.protobuf)
            #expect(again == key)
            #expect(again.publicKey == key.publicKey)
            #expect(again.protobuf == key.protobuf)
            #expect(try PublicKey(protobuf: key.publicKey.protobuf) == key.publicKey)
            #expect(try PublicKey(type: key.type, rawBytes: key.publicKey.rawBytes) == key.publicKey)
            #expect(key.publicKey.isValidSignature(try again.sign([9]), for: [9]))
        }
    }

    @Test func aSignatureOfOneKeyFitsNoOther() throws {
        let message: [UInt8] = [1, 2, 3]
        for (index, key) in sampleKeys.enumerated() {
            let signature = try key.sign(message)
            for (other, stranger) in sampleKeys.enumerated() where other != index {
                #expect(!stranger.publicKey.isValidSignature(signature, for: message))
            }
        }
        let (first, second) = (PrivateKey.ed25519(), PrivateKey.ed25519())
        #expect(first != second)
        #expect(!second.publicKey.isValidSignature(try first.sign(message), for: message))
    }

    @Test func alteredCutAndExtendedSignaturesAreInvalid() throws {
        let message: [UInt8] = [1, 2, 3]
        for key in sampleKeys {
            let signature = try key.sign(message)
            #expect(!key.publicKey.isValidSignature([], for: message))
            #expect(!key.publicKey.isValidSignature(signature + [0], for: message), "\(key)")
            #expect(!key.publicKey.isValidSignature([0] + signature, for: message), "\(key)")
            #expect(!key.publicKey.isValidSignature(Array(signature.dropLast()), for: message), "\(key)")
            #expect(!key.publicKey.isValidSignature([UInt8](repeating: 0, count: signature.count), for: message))
            #expect(!key.publicKey.isValidSignature([UInt8](repeating: 0xff, count: signature.count), for: message))
            #expect(!key.publicKey.isValidSignature([UInt8](repeating: 0x30, count: 1 << 20), for: message))
            for index in signature.indices {
                var altered = signature
                altered[index] ^= 0x01
                #expect(!key.publicKey.isValidSignature(altered, for: message), "\(key), byte \(index)")
            }
        }
    }

    @Test func highSAndOtherEncodingsOfASecp256k1SignatureAreInvalid() throws {
        let key = try PrivateKey.secp256k1()
        for number in 0..<20 {
            let message = [UInt8(number)]
            let signature = try key.sign(message)
            let (r, s) = try parseDER(signature)
            #expect(key.publicKey.isValidSignature(der(r, s), for: message))
            #expect(!key.publicKey.isValidSignature(der(r, subtract(order, s)), for: message), "high S")
            let twoPartLength = [0x30, 0x81] + signature.dropFirst()
            #expect(!key.publicKey.isValidSignature(twoPartLength, for: message), "BER length")
            #expect(!key.publicKey.isValidSignature(r + s, for: message), "compact form")
            #expect(!key.publicKey.isValidSignature(der([0, 0] + r, s), for: message), "padded integer")
        }
    }

    @Test func otherEncodingsOfAnECDSASignatureAreInvalid() throws {
        let key = try PrivateKey.ecdsa()
        let message: [UInt8] = [4, 5, 6]
        let signature = try key.sign(message)
        let (r, s) = try parseDER(signature)
        #expect(key.publicKey.isValidSignature(der(r, s), for: message))
        #expect(!key.publicKey.isValidSignature([0x30, 0x81] + signature.dropFirst(), for: message), "BER length")
        #expect(!key.publicKey.isValidSignature([0x30, 0x80] + signature[2...] + [0, 0], for: message), "indefinite")
        #expect(!key.publicKey.isValidSignature(der([0, 0] + r, s), for: message), "padded integer")
        #expect(!key.publicKey.isValidSignature(r + s, for: message), "raw form")
    }

    @Test func secp256k1SignaturesAreDeterministicAndLowS() throws {
        let key = try PrivateKey.secp256k1()
        for number in 0..<100 {
            let message = [UInt8(number)]
            let signature = try key.sign(message)
            #expect(try key.sign(message) == signature)
            let (_, s) = try parseDER(signature)
            #expect(s.count < 32 || s.count == 32 && s[0] < 0x80)
        }
    }

    @Test func manyTasksSignWithOneKeyAtOnce() async throws {
        for key in sampleKeys {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for round in 0..<5 {
                            let message = [UInt8(task), UInt8(round)]
                            let signature = try key.sign(message)
                            guard key.publicKey.isValidSignature(signature, for: message) else { return false }
                        }
                        return true
                    }
                }
                for try await isValid in group { #expect(isValid, "\(key)") }
            }
        }
    }

    // MARK: secp256k1 by hand

    private let order = hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")

    private func parseDER(_ bytes: [UInt8]) throws -> (r: [UInt8], s: [UInt8]) {
        try #require(bytes.count > 8 && bytes[0] == 0x30 && Int(bytes[1]) == bytes.count - 2)
        let r = bytes[4..<4 + Int(bytes[3])]
        let s = bytes[(r.endIndex + 2)...]
        return (Array(r.drop { $0 == 0 }), Array(s.drop { $0 == 0 }))
    }

    private func der(_ r: [UInt8], _ s: [UInt8]) -> [UInt8] {
        let numbers = [r, s].flatMap { number in
            let content = number[0] >= 0x80 ? [0] + number : number
            return [0x02, UInt8(content.count)] + content
        }
        return [0x30, UInt8(numbers.count)] + numbers
    }

    private func subtract(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        var result = left
        var borrow = 0
        let padded = [UInt8](repeating: 0, count: left.count - right.count) + right
        for index in left.indices.reversed() {
            let difference = Int(left[index]) - Int(padded[index]) - borrow
            borrow = difference < 0 ? 1 : 0
            result[index] = UInt8(difference & 0xff)
        }
        return result
    }
}
