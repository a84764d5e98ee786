import PeerID
import Testing

@Suite struct Ed25519Tests {
    @Test func aNewKeySignsAndItsPublicKeyVerifies() throws {
        let key = PrivateKey.ed25519()
        let signature = try key.sign([1, 2, 3])
        #expect(key.publicKey.isValidSignature(signature, for: [1, 2, 3]))
        #expect(!key.publicKey.isValidSignature(signature, for: [1, 2, 4]))
        #expect(try PrivateKey(protobuf: key.protobuf) == key)
        #expect(try PeerID(parsing: key.peerID.description) == key.peerID)
        #expect(key.peerID.inlinePublicKey == key.publicKey)
    }
}
