import Multiaddr
import PeerID
import Testing

@testable import Host

@Suite struct TouchOrderTests {
    private let peers = (0..<4).map { _ in PrivateKey.ed25519().peerID }

    @Test func theOldestWordThatHoldsComesFirst() {
        var order = TouchOrder<PeerID>()
        for (index, peer) in peers.enumerated() { order.append(peer, UInt64(index)) }
        order.append(peers[0], 4)
        let holds = { (peer: PeerID, touched: UInt64) in peer != self.peers[0] || touched == 4 }
        #expect(order.removeOldest(where: holds) == peers[1])
        #expect(order.removeOldest(where: holds) == peers[2])
        #expect(order.removeOldest(where: holds) == peers[3])
        #expect(order.removeOldest(where: holds) == peers[0])
        #expect(order.removeOldest(where: holds) == nil)
        #expect(order.count == 0)
    }

    @Test func itKeepsNoMoreThanHolds() {
        var order = TouchOrder<PeerID>()
        for turn in 0..<10_000 { order.append(peers[turn % 4], UInt64(turn)) }
        order.removeAll { _, touched in touched >= 9_996 }
        #expect(order.count == 4)
        #expect(order.removeOldest { _, _ in true } == peers[0])
    }

    @Test func aStoreFullOfConnectedPeersForgetsTheOthersInOrder() {
        let store = PeerStore(capacity: 2)
        for peer in peers.prefix(2) { store.connected(peer) }
        store.learn(["/memory/1"], of: peers[2])
        #expect(store.info(for: peers[2]) == nil)
        store.disconnected(peers[0])
        store.learn(["/memory/1"], of: peers[3])
        #expect(store.info(for: peers[0]) == nil)
        #expect(store.info(for: peers[1]) != nil)
        #expect(store.addresses(of: peers[3]) == ["/memory/1"])
        for _ in 0..<1000 { store.learn(["/memory/2"], of: peers[3]) }
        #expect(store.count == 2)
    }
}
