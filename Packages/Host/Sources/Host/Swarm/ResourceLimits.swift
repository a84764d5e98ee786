/// How much a host may use, by scope. See "Limits and what they protect".
///
/// The number of connections in all and with one peer is set by ``HostConfiguration/Connections/limit`` and
/// ``HostConfiguration/Connections/limitPerPeer``.
public struct ResourceLimits: Sendable, Hashable {
    /// The whole host.
    public struct System: Sendable, Hashable {
        /// Connections that peers opened. 800 of 1000: however many come, this host can still dial.
        public var inboundConnections = 800
        /// Connections that this host opened. 800 of 1000: however many it dials, it can still be reached.
        public var outboundConnections = 800
        /// Streams that peers opened. 8192, eight times what one peer may have.
        public var inboundStreams = 8192
        /// Streams that this host opened. 8192.
        public var outboundStreams = 8192
        /// Bytes accounted for. 1 GiB, what a small server has to spare.
        public var memory = 1 << 30
    }

    /// What is not known yet.
    public struct Transient: Sendable, Hashable {
        /// Addresses that are dialled at once, for all peers together. 256: 32 peers with 8 addresses each.
        public var dials = 256
        /// Inbound streams that negotiate. 1024; a peer has at most 32 for each of its 3 connections.
        public var inboundStreams = 1024
        /// Outbound streams that negotiate or wait for credit. 1024.
        public var outboundStreams = 1024
    }

    /// One peer, all its connections together.
    public struct Peer: Sendable, Hashable {
        /// Streams that the peer opened. 1024, an eighth of the system's.
        public var inboundStreams = 1024
        /// Streams that this host opened to it. 1024.
        public var outboundStreams = 1024
        /// Bytes accounted for. 128 MiB, an eighth of the system's.
        public var memory = 128 << 20
    }

    /// All streams of one protocol.
    public struct ProtocolStreams: Sendable, Hashable {
        /// Streams that peers opened. 4096, half of the system's.
        public var inboundStreams: Int
        /// Streams that this host opened. 4096.
        public var outboundStreams: Int

        /// The defaults leave half of the system's streams to other protocols.
        public init(inboundStreams: Int = 4096, outboundStreams: Int = 4096) {
            self.inboundStreams = inboundStreams
            self.outboundStreams = outboundStreams
        }
    }

    /// One connection.
    public struct Connection: Sendable, Hashable {
        /// Streams that the peer opened. 1000.
        public var inboundStreams = 1000
        /// Streams that this host opened. 1000.
        public var outboundStreams = 1000
        /// Bytes accounted for. 100 MiB.
        public var memory = 100 << 20
    }

    /// What protected peers may use beyond the limits of the system when others have used those up; see
    /// ``BasicHost/protect(_:tag:)``.
    public struct Reserve: Sendable, Hashable {
        /// Connections in each direction and in all. 50.
        public var connections = 50
        /// Streams in each direction, negotiating or not. 512.
        public var streams = 512
        /// Bytes accounted for. 64 MiB.
        public var memory = 64 << 20
    }

    /// The whole host.
    public var system = System()
    /// What is not known yet.
    public var transient = Transient()
    /// One peer.
    public var peer = Peer()
    /// One protocol, if ``protocols`` does not name it.
    public var protocolStreams = ProtocolStreams()
    /// Protocols with limits of their own, by name.
    public var protocols: [String: ProtocolStreams] = [:]
    /// One connection.
    public var connection = Connection()
    /// Bytes accounted for one stream. 2 MiB, a receive buffer that has grown to its end.
    public var streamMemory = 2 << 20
    /// What is kept for protected peers.
    public var reserve = Reserve()
    /// Bytes that each connection is taken to need. 64 KiB.
    public var memoryPerConnection = 64 << 10
    /// Bytes that each stream is taken to need. 64 KiB, its first window.
    public var memoryPerStream = 64 << 10

    /// The defaults.
    public static let defaults = ResourceLimits()

    /// The defaults, to be changed.
    public init() {}

    /// Each limit with the name of its field.
    var counts: [(name: String, value: Int)] {
        let named = protocols.sorted { $0.key < $1.key }.flatMap { name, limits in
            [
                ("limits.protocols[\"\(name)\"].inboundStreams", limits.inboundStreams),
                ("limits.protocols[\"\(name)\"].outboundStreams", limits.outboundStreams),
            ]
        }
        return [
            ("limits.system.inboundConnections", system.inboundConnections),
            ("limits.system.outboundConnections", system.outboundConnections),
            ("limits.system.inboundStreams", system.inboundStreams),
            ("limits.system.outboundStreams", system.outboundStreams), ("limits.system.memory", system.memory),
            ("limits.transient.dials", transient.dials),
            ("limits.transient.inboundStreams", transient.inboundStreams),
            ("limits.transient.outboundStreams", transient.outboundStreams),
            ("limits.peer.inboundStreams", peer.inboundStreams),
            ("limits.peer.outboundStreams", peer.outboundStreams), ("limits.peer.memory", peer.memory),
            ("limits.protocolStreams.inboundStreams", protocolStreams.inboundStreams),
            ("limits.protocolStreams.outboundStreams", protocolStreams.outboundStreams),
            ("limits.connection.inboundStreams", connection.inboundStreams),
            ("limits.connection.outboundStreams", connection.outboundStreams),
            ("limits.connection.memory", connection.memory), ("limits.streamMemory", streamMemory),
            ("limits.reserve.connections", reserve.connections), ("limits.reserve.streams", reserve.streams),
            ("limits.reserve.memory", reserve.memory), ("limits.memoryPerConnection", memoryPerConnection),
            ("limits.memoryPerStream", memoryPerStream),
        ] + named
    }
}
