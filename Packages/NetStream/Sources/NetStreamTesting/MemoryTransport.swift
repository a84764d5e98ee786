public import Multiaddr
public import NetStream
public import PeerID
import Synchronization

/// The place where memory transports find each other. Transports of different networks never meet.
public final class MemoryNetwork: Sendable {
    private struct State {
        var listeners: [UInt64: MemoryListener] = [:]
        var nextAddress: UInt64 = 1
    }

    private let state = Mutex(State())

    /// An empty network.
    public init() {}

    func add(at wanted: UInt64, make: (UInt64) throws -> MemoryListener) throws -> MemoryListener {
        try state.withLock { state in
            var number = wanted
            if number == 0 {
                while state.listeners[state.nextAddress] != nil { state.nextAddress += 1 }
                number = state.nextAddress
                state.nextAddress += 1
            }
            guard state.listeners[number] == nil else {
                throw MemoryError(.other, "/memory/\(number) is taken: listen on /memory/0 to get a free one")
            }
            let listener = try make(number)
            state.listeners[number] = listener
            return listener
        }
    }

    func remove(_ number: UInt64) {
        state.withLock { $0.listeners[number] = nil }
    }

    func listener(at number: UInt64) -> MemoryListener? {
        state.withLock { $0.listeners[number] }
    }

    func freshAddress() -> UInt64 {
        state.withLock { state in
            defer { state.nextAddress += 1 }
            return state.nextAddress
        }
    }
}

/// A transport between the peers of one process, with addresses like `/memory/7`. For tests.
///
/// It behaves as a QUIC transport does where users can tell: bounded windows that suspend writers, half-closed streams,
/// codes that travel with resets and closes, stream credit, streams that the peer sees with the first byte, identities
/// that are checked when dialling.
public final class MemoryTransport: Transport {
    private struct State {
        var isClosed = false
        var nextID: UInt64 = 0
        var listeners: [UInt64: MemoryListener] = [:]
        var connections: [UInt64: MemoryConnection] = [:]
    }

    private let identity: PrivateKey
    private let network: MemoryNetwork
    private let configuration: MemoryConfiguration
    private let state = Mutex(State())

    /// A transport of a peer on a network.
    public init(
        identity: PrivateKey,
        network: MemoryNetwork,
        configuration: MemoryConfiguration = .defaults
    ) {
        self.identity = identity
        self.network = network
        self.configuration = configuration
    }

    /// `memory`.
    public var protocols: [String] { ["memory"] }

    /// Whether the address is `/memory/N`, with or without `/p2p/ID`.
    public func canDial(_ address: Multiaddr) -> Bool {
        Self.number(of: address) != nil
    }

    /// Whether the address is `/memory/N`.
    public func canListen(on address: Multiaddr) -> Bool {
        Self.number(of: address) != nil
    }

    /// Connects to whoever listens on the address.
    public func dial(_ address: Multiaddr) async throws -> any MuxedConnection {
        if Task.isCancelled { throw MemoryError.cancelled }
        guard let number = Self.number(of: address) else {
            throw MemoryError(.other, "\(address) is not a memory address: dial /memory/N")
        }
        guard let listener = network.listener(at: number) else {
            throw MemoryError(.other, "nobody listens on /memory/\(number)")
        }
        if let expected = address.peerID, expected != listener.identity.peerID {
            throw MemoryError(.other, "wrong peer: expected \(expected), found \(listener.identity.peerID)")
        }
        let link = MemoryLink(configuration: listener.configuration)
        let here = try Multiaddr(parsing: "/memory/\(network.freshAddress())")
        let there = try Multiaddr(parsing: "/memory/\(number)")
        let local = MemoryConnection(
            link: link,
            direction: .outbound,
            local: identity.publicKey,
            remote: listener.identity,
            localAddress: here,
            remoteAddress: there,
            roundTripTime: configuration.roundTripTime
        )
        let remote = MemoryConnection(
            link: link,
            direction: .inbound,
            local: listener.identity,
            remote: identity.publicKey,
            localAddress: there,
            remoteAddress: here,
            roundTripTime: configuration.roundTripTime
        )
        try register(local)
        try listener.offer(remote)
        return local
    }

    /// Listens on an address; `/memory/0` takes a free one.
    public func listen(on address: Multiaddr) async throws -> any Listener {
        guard let number = Self.number(of: address) else {
            throw MemoryError(.other, "\(address) is not a memory address: listen on /memory/N")
        }
        let listener = try network.add(at: number) { number in
            let address = try Multiaddr(parsing: "/memory/\(number)")
            return MemoryListener(
                address: address,
                identity: identity.publicKey,
                configuration: configuration,
                register: { [weak self] connection in try self?.register(connection) },
                onClose: { [weak self] in self?.forgetListener(number) }
            )
        }
        let isClosed = state.withLock { state in
            state.listeners[listener.number] = listener
            return state.isClosed
        }
        if isClosed {
            await listener.close()
            throw MemoryError(.closed, "the transport is closed")
        }
        return listener
    }

    /// Closes every listener and connection.
    public func close() async {
        let (listeners, connections) = state.withLock { state in
            state.isClosed = true
            defer { state.connections = [:] }
            return (Array(state.listeners.values), Array(state.connections.values))
        }
        for listener in listeners { await listener.close() }
        for connection in connections { await connection.close(code: .shutdown, reason: "the transport closes") }
    }

    private func register(_ connection: MemoryConnection) throws {
        try state.withLock { state in
            guard !state.isClosed else { throw MemoryError(.closed, "the transport is closed") }
            state.connections = state.connections.filter { !$0.value.isClosed }
            state.nextID += 1
            state.connections[state.nextID] = connection
        }
    }

    private func forgetListener(_ number: UInt64) {
        network.remove(number)
        state.withLock { $0.listeners[number] = nil }
    }

    private static func number(of address: Multiaddr) -> UInt64? {
        let parts = address.withoutPeerID.description.split(separator: "/")
        guard parts.count == 2, parts[0] == "memory" else { return nil }
        return UInt64(parts[1])
    }
}

/// Accepts connections in memory.
public final class MemoryListener: Listener {
    private struct State {
        var isClosed = false
        var backlog: [MemoryConnection] = []
        var acceptors = WaiterQueue<any MuxedConnection>()
    }

    let identity: PublicKey
    let configuration: MemoryConfiguration
    private let address: Multiaddr
    private let register: @Sendable (MemoryConnection) throws -> Void
    private let onClose: @Sendable () -> Void
    private let state = Mutex(State())

    init(
        address: Multiaddr,
        identity: PublicKey,
        configuration: MemoryConfiguration,
        register: @escaping @Sendable (MemoryConnection) throws -> Void,
        onClose: @escaping @Sendable () -> Void
    ) {
        self.address = address
        self.identity = identity
        self.configuration = configuration
        self.register = register
        self.onClose = onClose
    }

    /// The address listened on.
    public var addresses: [Multiaddr] { [address] }

    var number: UInt64 { address.description.split(separator: "/").last.flatMap { UInt64($0) } ?? 0 }

    /// Waits for the next connection.
    public func accept() async throws -> any MuxedConnection {
        let id = state.withLock { $0.acceptors.makeID() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<any MuxedConnection, any Error>) in
                var effects = Effects()
                state.withLock { state in
                    let waiter = Waiter(id: id, continuation: continuation)
                    if state.isClosed {
                        effects.resume(waiter, with: .failure(MemoryError(.closed, "the listener is closed")))
                    } else if Task.isCancelled {
                        effects.resume(waiter, with: .failure(MemoryError.cancelled))
                    } else if !state.backlog.isEmpty {
                        effects.resume(waiter, with: .success(state.backlog.removeFirst()))
                    } else {
                        state.acceptors.append(waiter)
                    }
                }
                effects.run()
            }
        } onCancel: {
            let waiter = state.withLock { $0.acceptors.remove(id: id) }
            waiter?.continuation.resume(throwing: MemoryError.cancelled)
        }
    }

    /// Stops accepting; connections that nobody accepted are closed.
    public func close() async {
        let (waiters, backlog) = state.withLock { state in
            state.isClosed = true
            defer { state.backlog = [] }
            return (state.acceptors.removeAll(), state.backlog)
        }
        for waiter in waiters {
            waiter.continuation.resume(throwing: MemoryError(.closed, "the listener is closed"))
        }
        for connection in backlog { await connection.close(code: .shutdown, reason: "the listener is closed") }
        onClose()
    }

    func offer(_ connection: MemoryConnection) throws {
        try register(connection)
        var effects = Effects()
        try state.withLock { state in
            guard !state.isClosed else { throw MemoryError(.other, "the listener is closed") }
            if let waiter = state.acceptors.removeFirst() {
                effects.resume(waiter, with: .success(connection))
            } else {
                guard state.backlog.count < configuration.acceptBacklog else {
                    throw MemoryError(.limitExceeded, "the listener's backlog is full")
                }
                state.backlog.append(connection)
            }
        }
        effects.run()
    }
}
