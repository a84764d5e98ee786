internal import Libp2pTLS
internal import Multiaddr
internal import QuicCore

extension QuicError {
    /// What keeps a transport from being made, of what TLS reports.
    static func tlsSetup(_ error: TLSError) -> QuicError {
        switch error.code {
        case .invalidConfiguration:
            var failure = QuicError.invalidConfiguration(field: "tls", error.message)
            failure.cause = error
            return failure
        case .keyLog:
            var failure = QuicError.invalidConfiguration(field: "tls.keyLogFile", error.message)
            failure.cause = error
            return failure
        default:
            return QuicError(
                .certificate,
                "the identity's certificate could not be made; check the key and the installed GnuTLS",
                cause: error
            )
        }
    }

    /// Every address of a name failed: the error of the last one, with a message that tells of all.
    static func dialFailed(_ name: Multiaddr, _ failures: [(remote: NetworkAddress, error: QuicError)]) -> QuicError {
        guard var last = failures.last?.error else {
            return QuicError(.resolution, "\(name) resolves to no QUIC address").during(.resolution)
        }
        guard failures.count > 1 else { return last }
        let each = failures.map { remote, error in
            "\(remote): \(error.message)\(error.dialStage.map { " (\($0))" } ?? "")"
        }
        last.message = "none of \(failures.count) addresses of \(name) could be dialed: \(each.joined(separator: "; "))"
        return last
    }
}
