import Multiaddr
import PeerID
import Testing

@Suite struct MultiaddrTests {
    let id = PrivateKey.ed25519().peerID
    let other = PrivateKey.ed25519().peerID

    @Test func thePeerIsTheLastOneBehindEveryRelay() throws {
        let plain = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/4001/quic-v1")
        #expect(plain.peerID == nil)
        #expect(try Multiaddr(parsing: "\(plain)/p2p/\(id)").peerID == id)
        #expect(try Multiaddr(parsing: "\(plain)/p2p/\(id.cid)").peerID == id)
        #expect(try Multiaddr(parsing: "\(plain)/p2p/\(other)/p2p-circuit").peerID == nil)
        #expect(try Multiaddr(parsing: "\(plain)/p2p/\(other)/p2p-circuit/p2p/\(id)").peerID == id)
        #expect(try Multiaddr(parsing: "/p2p/\(id)").peerID == id)
    }

    @Test func anIDIsAppendedOrReplaced() throws {
        let plain = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/4001/quic-v1")
        #expect(plain.withPeerID(id).description == "\(plain)/p2p/\(id)")
        #expect(plain.withPeerID(other).withPeerID(id) == plain.withPeerID(id))
        #expect(plain.withPeerID(id).peerID == id)
        let relayed = try Multiaddr(parsing: "\(plain)/p2p/\(other)/p2p-circuit")
        #expect(relayed.withPeerID(id).description == "\(relayed)/p2p/\(id)")
        #expect(relayed.withPeerID(other).withPeerID(id) == relayed.withPeerID(id))
        let followed = try Multiaddr(parsing: "/ip4/127.0.0.1/tcp/80/p2p/\(other)/http")
        #expect(followed.withPeerID(id).description == "/ip4/127.0.0.1/tcp/80/p2p/\(id)/http")
    }

    @Test func theIDIsTakenAway() throws {
        let plain = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/4001/quic-v1")
        #expect(plain.withoutPeerID == plain)
        #expect(plain.withPeerID(id).withoutPeerID == plain)
        let relayed = try Multiaddr(parsing: "\(plain)/p2p/\(other)/p2p-circuit")
        #expect(relayed.withPeerID(id).withoutPeerID == relayed)
        #expect(relayed.withoutPeerID == relayed)
        #expect(try Multiaddr(parsing: "/p2p/\(id)").withoutPeerID.isEmpty)
    }

    @Test func everyPeerIDFitsAnAddress() throws {
        let plain = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/4001/quic-v1")
        for count in 0...42 {
            let id = try PeerID(bytes: [0, UInt8(count)] + [UInt8](repeating: 3, count: count))
            #expect(plain.withPeerID(id).peerID == id)
        }
        for key in sampleKeys {
            let address = plain.withPeerID(key.peerID)
            #expect(try Multiaddr(parsing: address.description) == address)
            #expect(address.peerID == key.peerID)
        }
    }
}
