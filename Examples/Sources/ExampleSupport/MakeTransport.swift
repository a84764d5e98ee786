import Libp2pTLS
public import Logging
public import PeerID
import QuicCore
public import QuicTransport

/// The QUIC transport as every example uses it: with the key log that `SSLKEYLOGFILE` asks for and the
/// qlog files that `QLOGDIR` asks for.
///
/// - Parameter maxPayload: The largest UDP payload to try, 1200 to 65,000; `nil` for the default.
public func makeTransport(identity: PrivateKey, logger: Logger, maxPayload: Int? = nil) throws -> QuicTransport {
    var configuration = QuicConfiguration.defaults
    configuration.qlogDirectory = environment("QLOGDIR")
    if let maxPayload { configuration.udp.maxPayloadSize = maxPayload }
    // A person at a terminal may take longer than 30 s; whether the peer is there, the idle timeout says.
    configuration.timeouts.streamRead = nil
    configuration.timeouts.streamWrite = nil
    return try QuicTransport(
        identity: identity,
        configuration: configuration,
        tls: TLSConfiguration(keyLogFile: environment("SSLKEYLOGFILE")),
        logger: logger
    )
}
