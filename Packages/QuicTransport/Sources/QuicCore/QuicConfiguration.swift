#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The settings of the transport and of its connections.
///
/// Start from ``defaults`` or a preset and change fields; the transport calls ``validate()`` before it uses them.
/// Durations are Swift `Duration`s, sizes are bytes. The article "Configuration" of
/// QuicTransport lists the names that the Python implementation uses.
public struct QuicConfiguration: Sendable, Hashable {
    /// Deadlines.
    public var timeouts = Timeouts()
    /// How many streams, and how their data is buffered.
    public var streams = Streams()
    /// Flow-control windows.
    public var flowControl = FlowControl()
    /// Limits and keys of the endpoint as a whole.
    public var endpoint = Endpoint()
    /// The UDP sockets and their packets.
    public var udp = UDP()
    /// How much of each control frame a peer may send.
    public var frameGuard = FrameGuard()

    /// Whether connections may move to other addresses.
    public var migration = Migration()

    /// How often a PING keeps an otherwise silent connection alive; `nil` sends none, so that an unused connection ends
    /// with the idle timeout. The default of 15 s is what other libp2p implementations use: half the usual idle
    /// timeout, so that one lost PING does no harm. It must be shorter than the idle timeout.
    public var keepAliveInterval: Duration? = .seconds(15)

    /// What the round trip is taken to be until it is measured: three times as long after a first packet without an answer,
    /// the next one is sent. 100 ms. RFC 9002 §6.2.2 recommends 333 ms, with which a dial over a path that loses three
    /// packets in ten has five attempts in half a minute, and now and then all of them fail; this has seven.
    public var initialRoundTrip: Duration = .milliseconds(100)

    /// The QUIC versions to speak, the preferred one first. Version 1 has to be one of them; the ones the installed library
    /// does not have are refused when the transport is made.
    public var versions: [QuicVersion] = [.v1]

    /// The application protocols of TLS (ALPN), the preferred one first. libp2p over QUIC is `libp2p`.
    public var alpn: [String] = ["libp2p"]

    /// Whether a connection to a peer that was there before may begin with a shorter handshake. Off.
    public var resumption = Resumption.off

    /// The directory for qlog files, one for each connection, for tools such as qvis; `nil`, the default, writes none. It
    /// is made if it is missing; where that fails, the log says so and there are no files. Writing never delays a connection;
    /// a full disk ends the logs only. See ``qlogDirectoryFromEnvironment``.
    ///
    /// ngtcp2 before 1.22.1 has little room for a server's transport parameters in its log (CVE-2026-40170). Where they do not
    /// fit, the server's `preferred_address` is left out of the log and otherwise as well: nothing here uses it.
    public var qlogDirectory: String?

    /// The largest DATAGRAM frame (RFC 9221) taken from peers, its header included; 0, the default, takes none, and peers
    /// send none then. At most 65,535; what fits into one packet is the least of this, the peer's and the path's.
    public var maxDatagramFrameSize = 0

    /// The most datagrams that wait to be sent, and that wait to be read, on one connection. 64. The next one to be sent is
    /// refused; the next one that arrives takes the place of the oldest.
    public var maxQueuedDatagrams = 64

    /// The congestion controller. CUBIC is the default of nearly every stack (RFC 9438).
    public var congestionControl: CongestionControl = .cubic

    /// What seals and opens packets: ipsec-mb where it is installed, which is faster, else GnuTLS. See ``PacketProtection``.
    public var packetProtection: PacketProtection = .automatic

    /// Makes the default configuration.
    public init() {}

    /// The default configuration.
    public static let defaults = QuicConfiguration()

    /// The value of the environment variable `QLOGDIR`, or `nil` when it is unset or empty: what a program passes as
    /// ``qlogDirectory`` if it wants to honour the variable.
    public static var qlogDirectoryFromEnvironment: String? {
        guard let value = getenv("QLOGDIR") else { return nil }
        let path = String(cString: value)
        return path.isEmpty ? nil : path
    }

    /// How much of an earlier connection to the same peer is used again.
    public enum Resumption: Sendable, Hashable {
        /// Nothing: every handshake is a full one, in which both peers show their certificates.
        case off
        /// The TLS session (RFC 8446 §2.2): servers give tickets, and dials that name the peer use them, once each. That saves
        /// both sides a signature over the handshake; the certificates of the first one are verified again. Who the peer is, is
        /// known from the first handshake, at most some hours ago. The price: a client that has changed its certificate is taken
        /// for what it was until then, and whoever learns the key of a server's tickets, which is a new one every six hours, can
        /// open the tickets of its time and pass for any peer towards that server. Wants GnuTLS 3.8.10, or Debian's
        /// 3.7.9-2+deb12u5 or later: in older ones a client can crash a server that gives tickets (CVE-2025-6395).
        case sessions
        /// The session, and with it early data (0-RTT, RFC 9001 §4.6): a client that dials for it sends requests in its first
        /// packets, a server takes them, and the answer comes a round trip earlier. Ordinary dials send none. The price, besides
        /// that of ``sessions``: whoever records early data can send it again. A server takes that of each handshake once, as
        /// long as it runs, but it cannot know of others, of another process with the same identity or of its own past: so only
        /// requests that may be answered twice belong in early data. And it is only as secret as the ticket: whoever learns the
        /// key of a server's tickets can read what was recorded of its time.
        case earlyData
    }

    /// The algorithm that decides how much may be in flight.
    public enum CongestionControl: String, Sendable, Hashable, CaseIterable {
        /// CUBIC (RFC 9438).
        case cubic
        /// NewReno (RFC 9002 §7).
        case reno
        /// BBR, which estimates the bandwidth instead of filling the bottleneck's queue.
        case bbr
    }
}

extension QuicConfiguration {
    /// Deadlines. Every one that passes ends in an error of code ``QuicError/Code/timeout`` or, for operations of a
    /// stream, ``QuicError/Code/streamTimeout``. Each is above zero; `nil`, where it is possible, means no deadline.
    public struct Timeouts: Sendable, Hashable {
        /// The whole of a dial: resolution and every attempt together. 10 s.
        public var dial: Duration = .seconds(10)

        /// The handshake of a connection that this side dialed. 60 s; ``dial`` is what usually ends first.
        public var handshake: Duration = .seconds(60)

        /// The handshake of a connection that a peer opened. 10 s: each takes one of the places of
        /// ``QuicConfiguration/Endpoint/maxHalfOpen``, which are free again the sooner.
        public var inboundHandshake: Duration = .seconds(10)

        /// Silence after which a connection is given up (the transport parameter `max_idle_timeout`; the shorter one
        /// of both sides counts). 30 s.
        public var idle: Duration = .seconds(30)

        /// How long a connection that was closed is kept, to answer what still arrives, and how long closing may take.
        /// 10 s; usually three times the probe timeout is enough (RFC 9000 §10.2).
        public var close: Duration = .seconds(10)

        /// Waiting for the peer's credit to open a stream. 30 s.
        public var streamOpen: Duration? = .seconds(30)

        /// Waiting for the peer to open a stream. No deadline by default: a connection on which nothing happens is
        /// healthy, and the loops that accept streams are to stay.
        public var streamAccept: Duration?

        /// One read that waits for data. The stream stays usable when it passes. 30 s.
        public var streamRead: Duration? = .seconds(30)

        /// One write that waits for room in the send buffer. The stream stays usable when it passes. 30 s.
        public var streamWrite: Duration? = .seconds(30)

        /// Closing a stream in an orderly way, after which it is reset. 10 s.
        public var streamClose: Duration = .seconds(10)

        /// Makes the default deadlines.
        public init() {}
    }

    /// How many streams a connection may have, and how their data is buffered.
    public struct Streams: Sendable, Hashable {
        /// How many streams the peer may open at first (the transport parameter `initial_max_streams_bidi`). 100; the
        /// credit grows as streams are accepted, up to ``maxInbound`` open ones.
        public var initialInboundCredit = 100

        /// The most streams opened by the peer that may be open at once. 1000.
        public var maxInbound = 1000

        /// The most streams opened by this side that may be open at once; what the peer permits comes on top. 1000.
        public var maxOutbound = 1000

        /// Unacknowledged and unsent bytes of one stream above which a write waits. 1 MiB, which is enough to keep a
        /// path of 10 Mbit × s full.
        public var sendBufferHighWatermark = 1 << 20

        /// Memory that unacknowledged and unsent bytes of all streams of a connection may take together. 100 MiB; at least
        /// 64 KiB, and ``sendBufferHighWatermark``. Above it a write waits, until the peer has acknowledged enough or the deadline
        /// ends it with ``QuicError/Code/sendMemoryExhausted``; those that wait are served in order. A stream of which nothing is
        /// on its way gets 4 KiB in any case, so that short messages pass those that nobody reads.
        ///
        /// Memory is counted as it is taken, in chunks of 4 to 64 KiB that are about as large as what the stream has on its way, and
        /// given back when the peer has acknowledged all of the bytes in a chunk. A write of 16 KiB or more is not copied: its bytes
        /// are counted as they go, and its array stays as a whole until the last of them has arrived.
        public var maxSendBufferOfConnection = 100 << 20

        /// Unread bytes of one stream above which its reader's progress earns no credit. 512 KiB.
        public var receiveHighWatermark = 512 << 10

        /// Unread bytes of one stream at which credit is earned again. 64 KiB.
        public var receiveLowWatermark = 64 << 10

        /// Makes the default limits.
        public init() {}
    }

    /// Flow-control windows (RFC 9000 §4): how many bytes the peer may send ahead of the reader. The memory that
    /// unread data takes is bounded by them, so a receive buffer can never overflow.
    public struct FlowControl: Sendable, Hashable {
        /// The window that each stream starts with. 64 KiB, so that many idle streams promise little memory.
        public var streamWindow = 64 << 10

        /// The window that all streams of a connection start with together. 1 MiB.
        public var connectionWindow = 1 << 20

        /// Whether windows grow while the reader keeps up and the path is long or fast.
        public var autoTuning = true

        /// What a stream's window may grow to: the receive buffer of a stream. 2 MiB.
        public var maxStreamWindow = 2 << 20

        /// What the connection's window may grow to. 15 MiB: several fast streams, and a bound on what one peer can
        /// make this side buffer.
        public var maxConnectionWindow = 15 << 20

        /// Makes the default windows.
        public init() {}
    }

    /// Limits and keys of the endpoint as a whole.
    public struct Endpoint: Sendable, Hashable {
        /// The most connections of one transport, both directions and all its sockets together, handshakes included. 1000;
        /// the next dial fails with ``QuicError/Code/connectionLimit``, the next peer is refused.
        public var maxConnections = 1000

        /// The most inbound connections whose handshake is not finished. 512, at about 100 KiB each.
        public var maxHalfOpen = 512

        /// The most of them from one source: one IPv4 address, or one IPv6 /56. 128, so that a test on one machine or
        /// peers behind one NAT get through while one host cannot take all.
        public var maxHalfOpenPerSource = 128

        /// The most verified connections that wait to be accepted by the application. 256; the next one is refused.
        public var acceptQueueLimit = 256

        /// When a client has to prove that it is at the address it sends from, by answering a Retry, before this side
        /// does any work for it (RFC 9000 §8.1.2). Above 1000 new handshakes a second.
        public var retry = Retry.aboveRate(1000)

        /// When clients have to prove their address. It costs them a round trip, unless they bear a token of an earlier
        /// connection; those that have been here from the same IP address within a day do.
        public enum Retry: Sendable, Hashable {
            /// Never. Whoever makes up addresses can then take every place of ``maxHalfOpen``.
            case never
            /// Each of them.
            case always
            /// While more new handshakes a second than this come from addresses that are not proven, or while half of
            /// ``maxHalfOpen`` is taken, or half of ``maxHalfOpenPerSource`` by that source. 1 to 10⁹.
            case aboveRate(Int)
        }

        /// The key that stateless reset tokens (RFC 9000 §10.3.2) and the tokens for address validation derive from: at
        /// least 32 secret bytes. With the same key a restarted process can tell its former peers that their connections
        /// are gone, and knows the tokens it gave out. `nil` takes a random key for each socket.
        public var statelessResetKey: [UInt8]?

        /// Makes the default limits.
        public init() {}
    }

    /// The UDP sockets and their packets.
    public struct UDP: Sendable, Hashable {
        /// The size of UDP payloads. 1200 bytes, which every path carries (RFC 9000 §14): connections start there and path
        /// MTU discovery raises it, once a stream has more to send than a packet takes or the peer takes datagrams. A larger
        /// size is used as it is, without discovery, for networks that are known to carry it; at most 1500, or
        /// ``maxPayloadSize`` where that is larger.
        public var initialPayloadSize = 1200

        /// The largest UDP payload that path MTU discovery may try, 1200 to 65,000. 1452, which is Ethernet's 1500 less
        /// the headers of IPv6 and UDP. 8952 suits data centres with jumbo frames, 65,000 the loopback; the peer receives
        /// such datagrams if it is of this library. What is not carried costs the start of each transfer some round
        /// trips. ngtcp2 0.12.1 tries nothing above 1444: there only ``initialPayloadSize`` makes larger datagrams.
        public var maxPayloadSize = 1452

        /// Whether many packets of one size are handed to the kernel in one call (GSO). It is the largest single gain
        /// in throughput there is; it turns itself off where the kernel refuses it.
        public var segmentationOffload = true

        /// Whether the kernel may hand over many packets at once (GRO).
        public var receiveOffload = true

        /// The socket's send buffer (`SO_SNDBUF`) in bytes; `nil` leaves the system's. The kernel caps what is asked
        /// for. 4 MiB.
        public var sendBufferSize: Int? = 4 << 20

        /// The socket's receive buffer (`SO_RCVBUF`) in bytes; `nil` leaves the system's. The kernel caps what is
        /// asked for. 7 MiB, as other implementations ask for: what arrives while the loop is busy must fit.
        public var receiveBufferSize: Int? = 7 << 20

        /// How long an event loop goes on looking for datagrams after the last one that came or went, instead of sleeping at
        /// once, up to a millisecond. Zero, the default: it sleeps. Where answers arrive within this time, nobody waits until
        /// a thread is woken, which on virtual machines takes longer than the answer itself: round trips between processes
        /// and within a rack take a fraction of the time. The price is processor time: up to this much after every burst of
        /// datagrams, anybody's, also of what is thrown away: a loop with some traffic uses the whole of a core, but for what
        /// other threads want of it. It pays for 20 to 100 microseconds, with a core for each loop. Timers and tasks on the
        /// loop keep their turns; its other sockets wait for a quarter of a millisecond, or this time where that is longer.
        public var busyPoll = Duration.zero

        /// How many event loops serve a listener, each with a socket of its own on the same port (`SO_REUSEPORT`), 1 to
        /// 256; no more than the transport's event loop group has. 1. With several, the handshakes and the transfers of many peers
        /// use several cores: on Linux the kernel spreads the peers among the sockets by their addresses. A peer stays with
        /// the loop that accepted it, which the connection IDs name; what comes to another one later, because the peer moved,
        /// is handed over. So are most of the answers to dials that leave from the listener's port, which costs such
        /// connections some throughput. Other programs of the same user can join the port then: the system allows it.
        public var loops = 1

        /// Whether dials leave from a listener's socket where one reaches the address. On: peers see the address that others
        /// can reach then, which observed addresses and hole punching live by. When off, all dials leave from the shared
        /// socket of their address family, and nobody learns the listener's port from a dial.
        public var reusesListeningSocket = true

        /// The UDP port that dials leave from where no listener's socket is used; 0, the default, takes a free one. It is
        /// taken with the first such dial, on all interfaces, once for IPv4 and once for IPv6. A dial fails while the port is
        /// in use, by a listener of this transport too.
        public var dialPort: UInt16 = 0

        /// Makes the default settings.
        public init() {}
    }

    /// Whether connections may move to other addresses (RFC 9000 §9). On ngtcp2 0.12.1 they cannot, whatever is said
    /// here: a connection whose peer moves ends with the idle timeout.
    public struct Migration: Sendable, Hashable {
        /// Whether a connection follows a peer whose address changes, because a NAT forgot it or because it moved. The new
        /// path is validated before more than three times the bytes received go there. One that does not answer is left again
        /// for the last one that did (RFC 9000 §9.3.2), until the next packet of the peer. When switched off, peers are asked
        /// not to move, and what comes from elsewhere is dropped.
        public var followsPeer = true

        /// Whether connections that this side dialed may be moved to another local address on request.
        public var allowsOwn = true

        /// Makes the default policy.
        public init() {}
    }

    /// How much of each control frame a peer may send before the connection is closed. What is counted is each type of
    /// frame by itself; data is bounded by flow control instead.
    public struct FrameGuard: Sendable, Hashable {
        /// Frames per second in the long run, and at once.
        public struct Rate: Sendable, Hashable {
            /// Frames per second in the long run; above zero.
            public var perSecond: Int
            /// Frames at once; above zero.
            public var burst: Int

            /// Makes a rate.
            public init(perSecond: Int, burst: Int) {
                self.perSecond = perSecond
                self.burst = burst
            }
        }

        /// PATH_CHALLENGE, PATH_RESPONSE, NEW_CONNECTION_ID, RETIRE_CONNECTION_ID, NEW_TOKEN and HANDSHAKE_DONE. These
        /// are rare (a peer that changes its connection ID every 10,000 packets sends some thirty a second at full
        /// speed) and each makes this side do work or send. 100 a second, 1000 at once.
        public var connectionControl = Rate(perSecond: 100, burst: 1000)

        /// RESET_STREAM, STOP_SENDING, STREAM without data, and window and limit updates. Many peers send one or two of
        /// them for each stream they close, so that this bounds the streams per second. 50,000 a second and at once.
        public var streamControl = Rate(perSecond: 50_000, burst: 50_000)

        /// PING. A peer that receives at full speed sends one every ten to twenty acknowledgements. 50,000 a second and
        /// at once.
        public var ping = Rate(perSecond: 50_000, burst: 50_000)

        /// The most ranges in one ACK frame. 512; usual peers send at most 32, the libraries that send more rarely pass
        /// a hundred.
        public var maxAckRanges = 512

        /// Makes the default limits.
        public init() {}
    }
}
