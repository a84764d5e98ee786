public import Metrics
public import Multiaddr

/// What can be set about a host. Every field changes what the host does.
public struct HostConfiguration: Sendable {
    /// Dialling and the number of connections.
    public struct Connections: Sendable {
        /// Most connections at once; further ones are closed with "resource limit exceeded". 1000.
        public var limit = 1000
        /// Most connections with one peer. 3: two simultaneous dials and one to spare. A further one that the peer opens
        /// takes the place of the oldest that it opened, which is closed with "supplanted": a peer that was restarted
        /// is not locked out by connections it has forgotten. While the oldest is younger than ``dialTimeout`` it takes that of
        /// the newest instead: a peer that dials many addresses at once keeps the first that answers. Where there is none, and
        /// when this host dials a peer that has as many as it may, the connection stays that was dialled by the one of the two
        /// with the lesser ID.
        public var limitPerPeer = 3
        /// How long a dial may take, all addresses together. 10 s.
        public var dialTimeout: Duration = .seconds(10)
        /// Addresses of one peer that are dialled at once. 8.
        public var dialsPerPeer = 8
        /// The head start of an address over the next one, on the public internet. 250 ms (RFC 8305).
        public var dialStagger: Duration = .milliseconds(250)
        /// The same among private addresses, where answers come fast. 30 ms.
        public var privateDialStagger: Duration = .milliseconds(30)
        /// Which of several connections to a peer carries a new stream.
        public var choice: ConnectionChoice = .roundRobin

        /// How long an address of the peer store is left alone after its n-th failure in a row: this, and n² seconds.
        /// 5 s. Addresses that a caller names are always dialled.
        public var dialBackOff: Duration = .seconds(5)
        /// The longest such pause. 5 min.
        public var longestDialBackOff: Duration = .seconds(300)
        /// When a network is taken to swallow UDP or IPv6, so that public addresses which need them are not dialled; `nil`
        /// for never. Addresses that a caller names are dialled all the same, after the others.
        public var blackHoleDetection: BlackHoleDetection? = BlackHoleDetection()
        /// When and how far the number of connections is cut down. Not at all by default.
        public var trimming: Trimming?

        /// The defaults.
        public static let defaults = Connections()
    }

    /// How the number of connections is kept down: above the high water those to the peers of least value are closed (see
    /// ``BasicHost/setValue(_:of:tag:)``), among equals those with the fewest streams, then the oldest, until the low
    /// water is reached. Protected peers (``BasicHost/protect(_:tag:)``) keep theirs.
    public struct Trimming: Sendable, Hashable {
        /// How many connections are left.
        public var lowWater: Int
        /// From how many on connections are closed.
        public var highWater: Int
        /// Connections younger than this are kept.
        public var gracePeriod: Duration

        /// The defaults are those of go-libp2p: 160, 192, one minute.
        public init(lowWater: Int = 160, highWater: Int = 192, gracePeriod: Duration = .seconds(60)) {
            self.lowWater = lowWater
            self.highWater = highWater
            self.gracePeriod = gracePeriod
        }
    }

    /// How one of several connections to the same peer is chosen.
    public enum ConnectionChoice: Sendable, Hashable {
        /// One after the other.
        case roundRobin
        /// The one with the fewest streams in use.
        case leastLoaded
        /// The one with the shortest round trip; see `MuxedConnection.roundTripTime`. One that was not measured comes
        /// last, the oldest first among equals.
        case lowestLatency
    }

    /// Streams and the agreement about their protocols.
    public struct Streams: Sendable {
        /// Negotiations at once that a peer may start, for each connection. Further streams wait. 32.
        public var inboundNegotiations = 32
        /// Negotiations at once that this host starts, for each connection. Further ones wait; lazy ones
        /// (``negotiatesLazily``) wait for no answer and do not count. 32.
        public var outboundNegotiations = 32
        /// How long a negotiation may take. 30 s.
        public var negotiationTimeout: Duration = .seconds(30)
        /// Inbound streams that are handled at once, for each connection. Further ones wait for as long as a
        /// negotiation may take and are then reset with "resource limit exceeded". 100.
        public var inboundHandlers = 100
        /// Whether streams start without waiting for the peer's answer when identify told that it speaks the protocol.
        /// Saves a round trip.
        public var negotiatesLazily = true

        /// The defaults.
        public static let defaults = Streams()
    }

    /// The identify protocol.
    public struct Identify: Sendable {
        /// The family of protocols this host belongs to. Some networks hang up on peers of another one.
        public var protocolVersion = "ipfs/0.1.0"
        /// The name and version of the software.
        public var agentVersion = "swift-libp2p-quic/0.1.0"
        /// Whether each new connection is identified at once, as go-libp2p does.
        public var runsOnConnect = true
        /// Whether changes of protocols and addresses are pushed to connected peers.
        public var pushesChanges = true
        /// How long a peer may take to identify itself. 5 s.
        public var timeout: Duration = .seconds(5)
        /// Addresses to tell peers beside those listened on.
        public var announcedAddresses: [Multiaddr] = []
        /// How many peers in different networks must see this host at an address at the same time before it tells others
        /// that it is reached there. 4, as go-libp2p has it: fewer could agree on a lie, or share a router.
        public var observersNeeded = 4

        /// The defaults.
        public static let defaults = Identify()
    }

    /// Who may be dialled and who may connect. Everybody by default.
    public var gater = ConnectionGater()
    /// Connections.
    public var connections = Connections.defaults
    /// What may be used at most, by scope.
    public var limits = ResourceLimits.defaults
    /// Streams.
    public var streams = Streams.defaults
    /// Identify.
    public var identify = Identify.defaults
    /// Whether `/ipfs/ping/1.0.0` is answered.
    public var servesPing = true
    /// Streams of one peer on which pings are answered at once. 2, as the specification says.
    public var pingStreamsPerPeer = 2
    /// Peers that are remembered; the one unused for longest goes first. Those that are connected and those added to
    /// ``BasicHost/peerStore`` by the program stay, even beyond this number. 4096.
    public var rememberedPeers = 4096
    /// Bytes that peers may take which are remembered although they are neither connected nor added by the program,
    /// estimated. Cut down like ``rememberedPeers``. 16 MiB.
    public var rememberedBytes = 16 << 20
    /// How long a peer is remembered that is neither connected nor added by the program. 24 h: an address that nobody
    /// answered at for a day is more likely to cost a dial than to lead to the peer.
    public var rememberedFor: Duration = .seconds(24 * 3600)
    /// Looks up the names in `/dns…` addresses that are dialled. The host does so, not the transport, so that its gater, its
    /// back-off and its ranking see what the names stand for.
    public var resolver: any NameResolver = SystemNameResolver()
    /// Where the host's metrics go; that of `MetricsSystem` if `nil`. See "Watching a node". Its handlers must not
    /// block.
    public var metricsFactory: (any MetricsFactory)?
    /// What measures every time above. Tests hand in a clock of their own.
    public var clock: any Clock<Duration> = ContinuousClock()

    /// The defaults.
    public static let defaults = HostConfiguration()

    /// The defaults, to be changed.
    public init() {}

    /// Throws ``HostError/Code/invalidConfiguration``, naming the field, when a value makes no sense.
    func validate() throws(HostError) {
        for (name, value) in counts where value < 1 {
            throw HostError(.invalidConfiguration, "\(name) is \(value), but must be at least 1")
        }
        for (name, value) in limits.counts where value < 0 {
            throw HostError(.invalidConfiguration, "\(name) is \(value), but must not be negative")
        }
        for (name, value) in times where value <= .zero {
            throw HostError(.invalidConfiguration, "\(name) is \(value), but must be above zero")
        }
        let staggers = [
            ("connections.dialStagger", connections.dialStagger),
            ("connections.privateDialStagger", connections.privateDialStagger),
        ]
        for (name, value) in staggers + pauses where value < .zero {
            throw HostError(.invalidConfiguration, "\(name) is \(value), but must not be negative")
        }
        if let detection = connections.blackHoleDetection {
            guard detection.window >= 1, 0...detection.window ~= detection.minimumSuccesses else {
                throw HostError(
                    .invalidConfiguration,
                    "connections.blackHoleDetection needs window >= 1 and 0 <= minimumSuccesses <= window"
                )
            }
        }
        if let trimming = connections.trimming {
            guard trimming.lowWater >= 0, trimming.highWater >= trimming.lowWater, trimming.gracePeriod >= .zero else {
                throw HostError(
                    .invalidConfiguration,
                    "connections.trimming needs 0 <= lowWater <= highWater and a grace period that is not negative"
                )
            }
        }
        let texts = [
            ("identify.protocolVersion", identify.protocolVersion), ("identify.agentVersion", identify.agentVersion),
        ]
        for (name, text) in texts where text.utf8.count > 256 {
            throw HostError(.invalidConfiguration, "\(name) is longer than 256 bytes")
        }
    }

    /// How many at once, with the names of the fields.
    var counts: [(name: String, value: Int)] {
        [
            ("connections.limit", connections.limit), ("connections.limitPerPeer", connections.limitPerPeer),
            ("connections.dialsPerPeer", connections.dialsPerPeer),
            ("streams.inboundNegotiations", streams.inboundNegotiations),
            ("streams.outboundNegotiations", streams.outboundNegotiations),
            ("streams.inboundHandlers", streams.inboundHandlers), ("pingStreamsPerPeer", pingStreamsPerPeer),
            ("rememberedPeers", rememberedPeers), ("rememberedBytes", rememberedBytes),
            ("identify.observersNeeded", identify.observersNeeded),
        ]
    }

    /// How long, with the names of the fields.
    var times: [(name: String, value: Duration)] {
        [
            ("connections.dialTimeout", connections.dialTimeout),
            ("streams.negotiationTimeout", streams.negotiationTimeout), ("identify.timeout", identify.timeout),
            ("rememberedFor", rememberedFor),
        ]
    }

    /// Times that may be nothing.
    var pauses: [(name: String, value: Duration)] {
        [
            ("connections.dialBackOff", connections.dialBackOff),
            ("connections.longestDialBackOff", connections.longestDialBackOff),
        ]
    }
}
