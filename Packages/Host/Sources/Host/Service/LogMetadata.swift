import Logging
import Multiaddr
import NetStream
import PeerID

// The keys of the host's log lines are the same everywhere, so that they can be searched for: see "Watching a node" in the
// documentation, and `LogLineTests`, which hold every line to them.

extension HostConnection {
    /// What log lines about a connection say.
    var metadata: Logger.Metadata {
        [
            "peer": "\(info.peer)", "connection": "\(info.id)", "direction": "\(info.direction)",
            "address": "\(info.remoteAddress)",
        ]
    }

    /// What log lines about one of its streams say.
    func metadata(ofStream id: UInt64, _ direction: Direction, protocolID: String? = nil) -> Logger.Metadata {
        var metadata = metadata
        metadata["stream"] = "\(id)"
        metadata["direction"] = "\(direction)"
        if let protocolID { metadata["protocol"] = "\(protocolID)" }
        return metadata
    }
}

extension BasicHost {
    /// What log lines about a stream say.
    func metadata(of stream: NetStream, on connection: HostConnection) -> Logger.Metadata {
        connection.metadata(ofStream: stream.id, stream.direction, protocolID: stream.protocolID)
    }
}

extension Multiaddr {
    /// What log lines about a dial to it say.
    var dialMetadata: Logger.Metadata {
        var metadata: Logger.Metadata = ["address": "\(withoutPeerID)", "direction": "\(Direction.outbound)"]
        if let peerID { metadata["peer"] = "\(peerID)" }
        return metadata
    }
}

extension Logger.Metadata {
    /// The same, and what went wrong.
    func failing(_ error: any Error) -> Logger.Metadata { merging(["error": "\(error)"]) { $1 } }
}
