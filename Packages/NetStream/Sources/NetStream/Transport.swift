public import Multiaddr

/// A source of inbound connections on one or more addresses.
public protocol Listener: AnyObject, Sendable {
    /// The addresses listened on, with real port numbers, without `/p2p`. The unspecified address stands as it is.
    var addresses: [Multiaddr] { get }

    /// The addresses that lead here, as far as this machine can tell: ``addresses``, where the unspecified one stands for the
    /// addresses of the machine's interfaces at present. Cheap to ask often.
    var interfaceAddresses: [Multiaddr] { get }

    /// Waits for the next connection whose peer is verified.
    ///
    /// - Throws: A ``ClassifiedStreamError`` of kind ``StreamFailureKind/closed`` once the listener is closed.
    func accept() async throws -> any MuxedConnection

    /// Stops accepting. Connections that were handed out live on. Idempotent.
    func close() async
}

extension Listener {
    /// The same as ``addresses``: right where no address is unspecified.
    public var interfaceAddresses: [Multiaddr] { addresses }
}

/// A way to make secured, multiplexed connections.
public protocol Transport: Sendable {
    /// Names of the multiaddr protocols this transport serves, such as `quic-v1`.
    var protocols: [String] { get }

    /// Whether this transport can dial the address.
    func canDial(_ address: Multiaddr) -> Bool

    /// Whether this transport can listen on the address.
    func canListen(on address: Multiaddr) -> Bool

    /// Connects to a peer. When the address ends in `/p2p/ID`, the connection fails unless the peer proves that ID.
    ///
    /// Cancelling the task closes the attempt.
    func dial(_ address: Multiaddr) async throws -> any MuxedConnection

    /// Listens on an address; port 0 takes a free one.
    func listen(on address: Multiaddr) async throws -> any Listener

    /// Closes every listener and connection of this transport.
    func close() async
}
