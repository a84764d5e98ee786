import Libp2pTLS
public import Logging
public import PeerID
public import QuicTransport

/// The QUIC transport as every example uses it: with the key log that `SSLKEYLOGFILE` asks for.
public func makeTransport(identity: PrivateKey, logger: Logger) throws -> QuicTransport {
    try QuicTransport(
        identity: identity,
        tls: TLSConfiguration(keyLogFile: environment("SSLKEYLOGFILE")),
        logger: logger
    )
}
