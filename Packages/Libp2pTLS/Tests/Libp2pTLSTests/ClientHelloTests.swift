import CGnuTLS
import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct ClientHelloTests {
    /// What a ClientHello (RFC 8446 §4.1.2) offers, read from the bytes on the wire.
    struct ClientHello {
        var sessionID: [UInt8]
        var cipherSuites: [UInt16]
        var extensions: [UInt16: [UInt8]] = [:]

        init?(record: [UInt8]) {
            var rest = record.dropFirst(5 + 4 + 2 + 32)[...]
            func take(_ lengthBytes: Int) -> [UInt8] {
                let length = rest.prefix(lengthBytes).reduce(0) { $0 << 8 | Int($1) }
                rest = rest.dropFirst(lengthBytes)
                defer { rest = rest.dropFirst(length) }
                return Array(rest.prefix(length))
            }
            guard record.count > 50, record[0] == 22, record[5] == 1 else { return nil }
            sessionID = take(1)
            let suites = take(2)
            cipherSuites = stride(from: 0, to: suites.count, by: 2).map {
                UInt16(suites[$0]) << 8 | UInt16(suites[$0 + 1])
            }
            _ = take(1)
            rest = take(2)[...]
            while rest.count >= 4 {
                let kind = rest.prefix(2).reduce(UInt16(0)) { $0 << 8 | UInt16($1) }
                rest = rest.dropFirst(2)
                extensions[kind] = take(2)
            }
        }
    }

    let hello: ClientHello

    init() throws {
        let peer = PrivateKey.ed25519().peerID
        let session = try TLSContext(identity: .ed25519()).makeClientSession(expecting: peer)
        var end = End(session.handle, of: session)
        let receiver = Wire()
        end.wire.other = receiver
        end.step()
        hello = try #require(ClientHello(record: receiver.arrived))
    }

    @Test func noServerNameIsSent() { #expect(hello.extensions[0] == nil) }

    @Test func legacySessionIDIsEmptyAsQUICDemands() { #expect(hello.sessionID.isEmpty) }

    @Test func onlyTLS13IsOffered() { #expect(hello.extensions[43] == [2, 3, 4]) }

    @Test func libp2pIsOfferedAsApplicationProtocol() {
        #expect(hello.extensions[16] == [0, 7, 6] + Array("libp2p".utf8))
    }

    @Test func aesComesBeforeChaCha20() {
        #expect(hello.cipherSuites == [0x1301, 0x1302, 0x1303])
    }

    @Test func oneKeyShareIsMadeAndItIsX25519() {
        // length, then group 29 with 32 bytes
        #expect(hello.extensions[51]?.prefix(6) == [0, 36, 0, 29, 0, 32])
    }

    @Test func resumptionAndEarlyDataAreNotOffered() {
        for kind: UInt16 in [35, 41, 42] { #expect(hello.extensions[kind] == nil) }
    }

    @Test func signaturesThatCertificatesMayNotHaveAreNotOffered() {
        let list = hello.extensions[13] ?? []
        let schemes = stride(from: 2, to: list.count, by: 2).map { UInt16(list[$0]) << 8 | UInt16(list[$0 + 1]) }
        #expect(schemes.contains(0x0403) && schemes.contains(0x0807))
        // SHA-1 and MD5 in any combination, and Ed448.
        let refused = schemes.filter { $0 >> 8 == 2 || $0 >> 8 == 1 || $0 == 0x0808 }
        #expect(refused == [])
    }
}
