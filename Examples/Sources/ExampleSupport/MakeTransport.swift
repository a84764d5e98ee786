import Libp2pTLS
public import Logging
public import PeerID
public import QuicCore
public import QuicTransport

/// The QUIC transport as every example uses it: with the key log that `SSLKEYLOGFILE` asks for and the
/// qlog files that `QLOGDIR` asks for.
///
/// - Parameter adjust: Changes settings that the example lets people choose.
public func makeTransport(
    identity: PrivateKey,
    logger: Logger,
    adjusting adjust: (inout QuicConfiguration) -> Void = { _ in }
) throws -> QuicTransport {
    var configuration = QuicConfiguration.defaults
    configuration.qlogDirectory = QuicConfiguration.qlogDirectoryFromEnvironment
    // A person at a terminal may take longer than 30 s; whether the peer is there, the idle timeout says.
    configuration.timeouts.streamRead = nil
    configuration.timeouts.streamWrite = nil
    adjust(&configuration)
    return try QuicTransport(
        identity: identity,
        configuration: configuration,
        tls: TLSConfiguration(keyLogFile: TLSConfiguration.keyLogFileFromEnvironment),
        logger: logger
    )
}
