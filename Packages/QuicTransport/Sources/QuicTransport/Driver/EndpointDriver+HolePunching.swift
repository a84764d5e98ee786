import NIOCore
import QuicCore

extension EndpointDriver {
    /// The least and the most milliseconds between two datagrams (libp2p specification "DCUtR").
    private static let pause: ClosedRange<Int64> = 10...200
    /// Too short for any packet that opens a connection or deserves an answer.
    private static let length = 1...16

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
}
