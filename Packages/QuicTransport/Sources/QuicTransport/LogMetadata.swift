import Logging
import NetStream
import PeerID
import QuicCore

/// The keys of the transport's log lines. They stay as they are, so that they can be searched for: see "Watching a transport"
/// in the documentation, which lists them all.
enum LogKey {
    /// The address of the other side, or of a listener.
    static let address = "address"
    /// Whether the peer caused it.
    static let byPeer = "byPeer"
    /// The kind of end that a connection came to.
    static let cause = "cause"
    /// The TLS cipher suite.
    static let cipherSuite = "cipherSuite"
    /// The code of a ``QuicError``, in words.
    static let code = "code"
    /// The number of a connection on its socket.
    static let connection = "connection"
    /// Who opened the connection.
    static let direction = "direction"
    /// The directory for qlog files.
    static let directory = "directory"
    /// What went wrong, for people.
    static let error = "error"
    /// The path of a file.
    static let file = "file"
    /// The address of this side.
    static let localAddress = "localAddress"
    /// How many event loops serve a listener.
    static let loops = "loops"
    /// What seals the packets of a listener's connections.
    static let packetProtection = "packet_protection"
    /// The peer ID of the other side.
    static let peer = "peer"
    /// The code on the wire that ended a connection, in hexadecimal.
    static let quicCode = "quicCode"
    /// The text that came or went with the end.
    static let reason = "reason"
    /// Whether the TLS session was resumed.
    static let resumed = "resumed"
    /// How far a failed dial came.
    static let stage = "stage"

    static let all = [
        address, byPeer, cause, cipherSuite, code, connection, direction, directory, error, file, localAddress, loops,
        packetProtection,
        peer,
        quicCode, reason, resumed, stage,
    ]
}

extension ConnectionDriver {
    /// What every line about a connection says.
    private func metadata(peer: PeerID?) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            LogKey.connection: "\(core.handle.rawValue)",
            LogKey.direction: "\(direction)",
            LogKey.address: "\(core.remoteAddress)",
            LogKey.localAddress: "\(endpoint.localAddress)",
        ]
        if let peer { metadata[LogKey.peer] = "\(peer)" }
        return metadata
    }

    /// The connection is there for those who use it.
    func logOpened(_ connection: QuicConnection) {
        endpoint.logger.debug(
            "connection opened",
            metadata: metadata(peer: connection.remotePeer).merging([
                LogKey.cipherSuite: "\(connection.cipherSuite ?? "")",
                LogKey.resumed: "\(connection.isResumed)",
            ]) { $1 }
        )
    }

    /// A verified peer is sent away.
    func logRefused(_ connection: QuicConnection, _ reason: String) {
        endpoint.logger.info(
            "connection refused",
            metadata: metadata(peer: connection.remotePeer).merging([LogKey.reason: "\(reason)"]) { $1 }
        )
    }

    /// The connection is over, or its handshake has failed: then there is no peer.
    func logEnded(_ end: ConnectionTermination, peer: PeerID?) {
        endpoint.logger.debug(
            peer == nil ? "handshake failed" : "connection closed",
            metadata: metadata(peer: peer).merging([
                LogKey.cause: "\(end.cause)",
                LogKey.quicCode: "0x\(String(end.code, radix: 16))",
                LogKey.byPeer: "\(end.byPeer)",
                LogKey.reason: "\(end.reason)",
                LogKey.code: "\(end.error.code)",
                LogKey.error: "\(end.error.message)",
            ]) { $1 }
        )
    }
}
