import PeerID
import Testing

@testable import QuicCore

@Suite struct AddressTokenCacheTests {
    private let peer = PrivateKey.ed25519().peerID

    private func address(_ index: Int) -> NetworkAddress {
        .ip4(10, 0, UInt8(index >> 8), UInt8(index & 0xff), port: 4001)
    }

    // Mutating calls cannot pass through the testing macros.
    private func taken(from cache: inout AddressTokenCache, for address: NetworkAddress, expecting peer: PeerID?)
        -> [UInt8]
    {
        cache.take(for: address, expecting: peer)
    }

    @Test func givesATokenOnceAndOnlyForThePeerThatGaveIt() {
        var cache = AddressTokenCache()
        cache.store([1, 2], of: peer, at: address(1))
        #expect(taken(from: &cache, for: address(2), expecting: peer).isEmpty)
        #expect(taken(from: &cache, for: address(1), expecting: PrivateKey.ed25519().peerID).isEmpty)
        #expect(taken(from: &cache, for: address(1), expecting: peer) == [1, 2])
        #expect(taken(from: &cache, for: address(1), expecting: peer).isEmpty)
        cache.store([3], of: peer, at: address(1))
        cache.store([4], of: peer, at: address(1))
        #expect(taken(from: &cache, for: address(1), expecting: nil) == [4])
        #expect(cache.count == 0)
    }

    @Test func isBoundedInTokensAndInTheirLength() {
        var cache = AddressTokenCache()
        cache.store([], of: peer, at: address(0))
        cache.store([UInt8](repeating: 1, count: 513), of: peer, at: address(0))
        #expect(cache.count == 0)
        for index in 0..<300 { cache.store([7], of: peer, at: address(index)) }
        #expect(cache.count == AddressTokenCache.limit)
        // The oldest ones made room.
        #expect(taken(from: &cache, for: address(43), expecting: nil).isEmpty)
        #expect(taken(from: &cache, for: address(44), expecting: nil) == [7])
    }
}
