internal import CNgtcp2Shims

/// What the token of a client's first Initial says about its address (RFC 9000 §8.1).
enum AddressProof {
    /// Nothing: there is no token, or none of ours, or one from NEW_TOKEN that has expired or is from elsewhere, which
    /// counts as none (RFC 9000 §8.1.3).
    case none
    /// The client received our Retry there; this was the destination ID of its first Initial.
    case retry(original: ConnectionID)
    /// The client was there during an earlier connection.
    case earlierConnection
    /// A Retry's token that is altered, expired, or from another address: the client cannot succeed with it.
    case invalid
}

/// Seals and checks the tokens of address validation: those of Retry packets, and those of NEW_TOKEN frames for the
/// next connection (RFC 9000 §8.1).
///
/// Sealed with AEAD under keys derived from the endpoint's kept key, so that nothing need be remembered and tokens outlast a
/// restart. A Retry's token is bound to address, port, the Retry's connection ID and the version, a NEW_TOKEN's to the IP
/// address.
struct AddressTokens {
    /// A Retry's token has to come back at once: 10 s are several round trips of the slowest path.
    static let retryLifetime: UInt64 = 10_000_000_000
    /// A client that was here within a day need not prove its address again.
    static let addressLifetime: UInt64 = 86_400_000_000_000

    private let key: [UInt8]
    private let epoch: UInt64

    /// Prepares to seal tokens.
    ///
    /// - Parameters:
    ///   - key: The secret.
    ///   - epoch: What makes the endpoint's times comparable with those of its predecessors; added to each.
    init(key: [UInt8], epoch: UInt64) {
        self.key = key
        self.epoch = epoch
    }

    /// A Retry packet in answer to a client's first Initial; `nil` if GnuTLS fails.
    func retry(
        answering request: lp2p_accept,
        as source: ConnectionID,
        to remote: NetworkAddress,
        now: UInt64
    ) -> [UInt8]? {
        var request = request
        var source = lp2p_cid(source)
        return packet(capacity: Int(LP2P_MAX_RETRY_LENGTH), for: remote, now: now) { buffer, context in
            lp2p_write_retry(buffer.baseAddress, buffer.count, &request, &source, context)
        }
    }

    /// A token for a NEW_TOKEN frame; `nil` if GnuTLS fails.
    func addressToken(for remote: NetworkAddress, now: UInt64) -> [UInt8]? {
        packet(capacity: Int(LP2P_MAX_TOKEN_LENGTH), for: remote, now: now) { buffer, context in
            lp2p_write_address_token(buffer.baseAddress, buffer.count, context)
        }
    }

    /// Checks the token of a client's first Initial, which is still in the datagram.
    func proof(in request: lp2p_accept, from remote: NetworkAddress, now: UInt64) -> AddressProof {
        guard request.token_length > 0 else { return .none }
        var request = request
        switch lp2p_accept_token_kind(&request) {
        case LP2P_TOKEN_RETRY:
            var original = lp2p_cid()
            let isValid = withContext(remote, now) {
                lp2p_check_retry_token(&request, $0, Self.retryLifetime, &original)
            }
            return isValid != 0 ? .retry(original: original.connectionID) : .invalid
        case LP2P_TOKEN_ADDRESS:
            let isValid = withContext(remote, now) { lp2p_check_address_token(&request, $0, Self.addressLifetime) }
            return isValid != 0 ? .earlierConnection : .none
        default: return .none
        }
    }

    private func packet(
        capacity: Int,
        for remote: NetworkAddress,
        now: UInt64,
        _ write: (UnsafeMutableBufferPointer<UInt8>, UnsafePointer<lp2p_token_context>) -> Int
    ) -> [UInt8]? {
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            count = withContext(remote, now) { write(buffer, $0) }
        }
        return bytes.isEmpty ? nil : bytes
    }

    private func withContext<Result>(
        _ remote: NetworkAddress,
        _ now: UInt64,
        _ body: (UnsafePointer<lp2p_token_context>) -> Result
    ) -> Result {
        key.withUnsafeBufferPointer { key in
            remote.withSockaddr { address, length in
                var context = lp2p_token_context()
                context.secret = key.baseAddress
                context.secret_length = key.count
                context.remote = UnsafeRawPointer(address)
                context.remote_length = length
                context.now = now &+ epoch
                return body(&context)
            }
        }
    }
}
