import Logging
import NetStream

// The keys of the host's log lines are the same everywhere, so that they can be searched for: see "Watching a node" in the
// documentation.

extension HostConnection {
    /// What log lines about a connection say.
    var metadata: Logger.Metadata {
        [
            "peer": "\(info.peer)", "connection": "\(info.id)", "direction": "\(info.direction)",
            "address": "\(info.remoteAddress)",
        ]
    }
}

extension BasicHost {
    /// What log lines about a stream say.
    func metadata(of stream: NetStream, on connection: HostConnection) -> Logger.Metadata {
        [
            "peer": "\(connection.peer)", "connection": "\(connection.info.id)", "stream": "\(stream.id)",
            "direction": "\(stream.direction)", "protocol": "\(stream.protocolID ?? "")",
        ]
    }
}
