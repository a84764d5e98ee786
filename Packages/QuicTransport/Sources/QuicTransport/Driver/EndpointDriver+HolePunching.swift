import NIOCore
import NetStream
import PeerID
import QuicCore

extension EndpointDriver {
    /// The least and the most milliseconds between two datagrams (libp2p specification "DCUtR").
    private static let pause: ClosedRange<Int64> = 10...200
    /// Too short for any packet that opens a connection or deserves an answer.
    private static let length = 1...16

    /// Ends the wait if the awaited peer has come already, from where it is awaited: a connection from elsewhere may be one
    /// that is dead and does not know it yet.
    func finishIfThere(_ punch: HolePunch) {
        if hasAccepted({ $1 == punch.remote && punch.awaits($0, at: $1) }) { punch.finish(.success(())) }
    }

    /// Sends a datagram of random bytes, and further ones at random times until the hole is made or given up.
    ///
    /// The first ones are lost at the peer's router. They are for the routers on this side: those take what comes from where
    /// something was sent to.
    func send(_ punch: HolePunch) {
        guard !punch.isOver else { return }
        guard isOpen else { return punch.finish(.failure(.transportClosed)) }
        let bytes = (0..<Int.random(in: Self.length)).map { _ in UInt8.random(in: 0...255) }
        sendLoose(bytes, to: punch.remote)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .milliseconds(.random(in: Self.pause))) { bound.value.send(punch) }
    }

    /// Whether a connection is there that was accepted from such a peer at such an address.
    private func hasAccepted(_ isWanted: (PeerID, NetworkAddress) -> Bool) -> Bool {
        drivers.values.contains { driver in
            guard driver.direction == .inbound, driver.core.isOpen, let connection = driver.connection else {
                return false
            }
            return isWanted(connection.remotePeer, driver.core.remoteAddress)
        }
    }

    /// Whether the socket is there.
    private var isOpen: Bool { socket.isOpen }

    /// Sends a datagram that belongs to no connection; it may get lost.
    private func sendLoose(_ bytes: [UInt8], to remote: NetworkAddress) {
        bytes.withUnsafeBytes { bytes in
            _ = socket.send(bytes, segmentSize: bytes.count, to: remote, from: nil, ecn: 0)
        }
    }
}
