internal import DequeModule

/// What waits in a connection: to be sent, to be told, to be looked at when a datagram was read.
struct ConnectionQueues {
    // MARK: streams

    /// Streams with something to send, in turn.
    var sendQueue: Deque<StreamRecord> = []
    /// Streams that wait for the connection's flow-control credit.
    var heldByConnection: [StreamRecord] = []
    /// Streams on which something arrived.
    var dirtyStreams: [StreamRecord] = []
    /// Streams of which something was acknowledged.
    var acknowledgedStreams: [StreamRecord] = []
    /// STOP_SENDING frames in the datagram that is being read.
    var stops: [(stream: StreamID, code: UInt64)] = []

    // MARK: the connection

    /// What happened and nobody has asked for yet, oldest first.
    var events: Deque<ConnectionEvent> = []
    /// What the endpoint has to know about the routing to this connection and has not asked for yet, oldest first.
    var routingChanges: [ConnectionCore.RoutingChange] = []
    /// Unreliable datagrams to send.
    var outgoingDatagrams: Deque<[UInt8]> = []
    var pings = PingQueue()
    /// Paths that were validated or not in the datagram that is being read.
    var pathOutcomes: [Bool] = []
}

extension ConnectionCore {
    /// What changed about how datagrams find this connection, or the next one to its peer.
    enum RoutingChange {
        /// This side issued a connection ID.
        case issued(ConnectionID, sequence: UInt64)
        /// The peer is done with a connection ID of this side.
        case retired(ConnectionID)
        /// The peer, or the path to it, is elsewhere now.
        case moved(to: NetworkAddress)
        /// A datagram that ends in this token is a stateless reset.
        case resetTokenInUse(StatelessResetToken)
        case resetTokenRetired(StatelessResetToken)
        /// The server's token for the next connection to it.
        case addressToken([UInt8])
    }

    /// A packet that was written for another path than the batch it came in.
    struct Stash {
        var bytes: [UInt8]
        var remote: NetworkAddress
        var local: NetworkAddress
        var ecn: UInt8
    }
}
