import Multiaddr
public import PeerID
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A payload with its signer's key and signature (libp2p RFC 2).
///
/// The signature covers a domain, the payload's type and the payload, so that it cannot be used for anything else.
public struct SignedEnvelope: Sendable, Hashable {
    /// Most bytes of an envelope that are taken apart: 64 KiB.
    public static let byteLimit = 65536

    /// The signer's key.
    public let publicKey: PublicKey
    /// What the payload is: a multicodec as bytes.
    public let payloadType: [UInt8]
    /// What was signed.
    public let payload: [UInt8]
    private let signature: [UInt8]

    /// Signs a payload.
    ///
    /// - Throws: `PeerIDError` when the key cannot sign.
    public init(
        payload: [UInt8],
        type payloadType: [UInt8],
        domain: String,
        signedBy key: PrivateKey
    ) throws(PeerIDError) {
        publicKey = key.publicKey
        self.payloadType = payloadType
        self.payload = payload
        signature = try key.sign(Self.signedBytes(domain: domain, type: payloadType, payload: payload))
    }

    /// Takes an envelope apart and checks its signature.
    ///
    /// - Parameters:
    ///   - bytes: The protobuf.
    ///   - domain: The domain the signature must be for.
    ///   - payloadType: The type the payload must have.
    /// - Throws: ``HostError/Code/malformedEnvelope`` or ``HostError/Code/invalidEnvelope``.
    public init(opening bytes: [UInt8], domain: String, type payloadType: [UInt8]) throws(HostError) {
        guard bytes.count <= Self.byteLimit else {
            throw HostError(.malformedEnvelope, "the envelope is longer than \(Self.byteLimit) bytes")
        }
        do {
            let message = try Libp2p_Envelope_Envelope(serializedBytes: bytes)
            publicKey = try PublicKey(protobuf: Array(message.publicKey))
            self.payloadType = Array(message.payloadType)
            payload = Array(message.payload)
            signature = Array(message.signature)
        } catch {
            throw HostError(.malformedEnvelope, "the envelope is not a protobuf with a key in it", cause: error)
        }
        guard self.payloadType == payloadType else {
            throw HostError(.invalidEnvelope, "the envelope holds something else than expected")
        }
        let signed = Self.signedBytes(domain: domain, type: payloadType, payload: payload)
        guard publicKey.isValidSignature(signature, for: signed) else {
            throw HostError(.invalidEnvelope, "the envelope's signature is wrong, or made for another purpose")
        }
    }

    /// The protobuf.
    public var bytes: [UInt8] {
        var message = Libp2p_Envelope_Envelope()
        message.publicKey = Data(publicKey.protobuf)
        message.payloadType = Data(payloadType)
        message.payload = Data(payload)
        message.signature = Data(signature)
        return encoded(message)
    }

    /// Domain, type and payload, each with its length in front (RFC 2, "Signature Production").
    static func signedBytes(domain: String, type: [UInt8], payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        for part in [Array(domain.utf8), type, payload] {
            Varint.append(UInt64(part.count), to: &bytes)
            bytes += part
        }
        return bytes
    }
}

/// The bytes of one of our own messages. They have no required fields, so encoding cannot fail.
func encoded(_ message: some Message) -> [UInt8] {
    (try? message.serializedBytes() as [UInt8]) ?? []
}
