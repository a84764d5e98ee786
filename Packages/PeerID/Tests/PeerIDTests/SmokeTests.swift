import PeerID
import Testing

@Suite struct SmokeTests {
    @Test(arguments: ["s", "p256", "p384", "p521", "rsa"]) func roundTrip(kind: String) throws {
        let key =
            switch kind {
            case "s": try PrivateKey.secp256k1()
            case "p256": try PrivateKey.ecdsa(.p256)
            case "p384": try PrivateKey.ecdsa(.p384)
            case "p521": try PrivateKey.ecdsa(.p521)
            default: try PrivateKey.rsa()
            }
        let signature = try key.sign([1, 2, 3])
        #expect(key.publicKey.isValidSignature(signature, for: [1, 2, 3]))
        #expect(!key.publicKey.isValidSignature(signature, for: [1, 2, 4]))
        let again = try PrivateKey(protobuf: key.protobuf)
        #expect(again == key)
        #expect(again.publicKey == key.publicKey)
        #expect(try PublicKey(protobuf: key.publicKey.protobuf) == key.publicKey)
        #expect(key.publicKey.isValidSignature(try again.sign([9]), for: [9]))
    }
}
