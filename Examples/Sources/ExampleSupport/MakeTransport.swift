public import Logging
public import PeerID
public import QuicTransport

/// The QUIC transport as every example uses it: `SSLKEYLOGFILE` and `QLOGDIR` from the environment.
public func makeTransport(identity: PrivateKey, logger: Logger) throws -> QuicTransport {
    var configuration = QuicConfiguration.defaults
    configuration.keyLogFile = environment("SSLKEYLOGFILE")
    configuration.qlogDirectory = environment("QLOGDIR")
    return try QuicTransport(identity: identity, configuration: configuration, logger: logger)
}
