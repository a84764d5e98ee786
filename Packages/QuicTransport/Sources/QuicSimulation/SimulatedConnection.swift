public import QuicCore

/// One side of a connection in a simulation, with the application that drives it and checks what arrives.
public final class SimulatedConnection {
    /// The node that has this side.
    public unowned let node: SimulatedNode
    /// The protocol core; `nil` once the connection is finished and let go.
    public internal(set) var core: ConnectionCore?
    /// A number within the simulation, for messages.
    public let number: Int
    /// Whether this side accepted the connection.
    public let isServer: Bool
    /// When it began.
    public let begun: UInt64
    /// What was known when early data began, before the handshake was done.
    public internal(set) var early: HandshakeResult?
    /// The streams that were opened early and came to nothing because the server did not take early data.
    public internal(set) var rejected: [SimulatedStream] = []
    /// What the handshake established, and when.
    public internal(set) var handshake: HandshakeResult?
    /// When the handshake was done.
    public internal(set) var handshakeAt: UInt64?
    /// When both sides were known to agree.
    public internal(set) var confirmedAt: UInt64?
    /// How it ended, and when.
    public internal(set) var termination: ConnectionTermination?
    /// When it ended.
    public internal(set) var terminatedAt: UInt64?
    /// How often a path was validated.
    public internal(set) var pathsValidated = 0
    /// How often the connection moved to another path.
    public internal(set) var pathsChanged = 0
    /// How often a path was given up.
    public internal(set) var pathsFailed = 0
    /// Tokens for later connections.
    public internal(set) var tokens: [[UInt8]] = []
    /// The streams in the order in which they appeared.
    public internal(set) var streams: [SimulatedStream] = []
    /// Plans that wait for the peer's credit.
    public internal(set) var waiting: [StreamPlan] = []
    /// How it may end without being told to by this side, apart from the peer's orderly close.
    public var allowed: Set<ConnectionTermination.Cause> = []
    /// Whether some end other than ours or the peer's is expected, so that unfinished streams are no fault.
    public var mayEndEarly = false
    /// Called after each turn in which something happened.
    public var onEvents: ((SimulatedConnection) -> Void)?
    /// Called with each unreliable datagram that arrives.
    public var onDatagram: (([UInt8], SimulatedConnection) -> Void)?

    var byID: [StreamID: SimulatedStream] = [:]
    /// When the last datagram came in; when the first packet that wants an answer left after it, if one did; and the deadline
    /// the timer is armed for.
    var lastReceived: UInt64
    var askedAt: UInt64?
    var armed: UInt64?
    var timerGeneration: UInt64 = 0
    var idleTurns = 0
    var openStreams = 0
    var closedByUs = false
    private var isForgotten = false
    let handle: ConnectionHandle

    init(core: ConnectionCore, node: SimulatedNode, number: Int, now: UInt64) {
        self.core = core
        self.node = node
        self.number = number
        handle = core.handle
        isServer = core.isServer
        begun = now
        lastReceived = now
    }

    /// Whether streams can be opened: the handshake is done or there is early data, and the connection is open.
    public var isUp: Bool { (handshake ?? early) != nil && !isOver }

    /// Whether the connection has ended.
    public var isOver: Bool { termination != nil || isForgotten }

    /// The process that had this side is gone, and with it the connection.
    func forget() {
        guard core != nil else { return }
        core = nil
        timerGeneration += 1
        isForgotten = termination == nil
    }

    /// Whether every stream of this side is over and none waits.
    public var isIdle: Bool { openStreams == 0 && waiting.isEmpty }

    /// Whether every stream of this side is over, apart from those that it asked the other side to stop.
    ///
    /// ngtcp2 1.11 throws away what came out of order on such a stream although it was acknowledged. If the other side
    /// had sent everything by then, nothing will fill the gap, and the stream stays until the connection ends.
    ///
    /// ngtcp2 0.12.1 does not open a stream whose reset arrives before its first bytes. So the half that answers cannot be
    /// ended, and such a stream stays on both sides.
    public var isSettled: Bool {
        waiting.isEmpty && (openStreams == 0 || streams.allSatisfy { $0.isClosed || isKnownToStay($0) })
    }

    private func isKnownToStay(_ stream: SimulatedStream) -> Bool {
        if stream.ownStopCode != nil { return true }
        return QuicVersion.libraryVersion.hasPrefix("0.") && (stream.ownResetCode != nil || stream.resetCode != nil)
    }

    /// Bytes of the pattern that arrived on all streams.
    public var received: Int { streams.reduce(0) { $0 + $1.received } }

    /// How long the handshake took.
    public var handshakeTime: Duration? {
        handshakeAt.map { .nanoseconds(Int64(clamping: $0 - begun)) }
    }

    /// The name of this side in messages.
    public var label: String { "\(node.name)/\(number)\(isServer ? "s" : "c")" }
}
