import Foundation
import Multiaddr

/// Carries the datagrams of one client to a server of this machine and back, each way with a delay: a long line between two
/// sockets of loopback. On a thread of its own, until nobody holds it any more.
final class DelayingRelay: Sendable {
    /// Where the client sends to.
    let address: Multiaddr
    private let isOver = Flag()

    private struct Datagram {
        var due: ContinuousClock.Instant
        var bytes: [UInt8]
        var isUp: Bool
    }

    /// - Parameters:
    ///   - port: The server's.
    ///   - delay: How long a datagram takes, each way.
    init(to port: UInt16, delay: Duration) throws {
        let (front, back, isOver) = (try LoopbackSocket(), try LoopbackSocket(), isOver)
        address = front.quicAddress
        Thread.detachNewThread {
            var client: UInt16?
            // In the order in which they are due, as all take the same time.
            var underWay: [Datagram] = []
            while !isOver.isSet {
                let rest = underWay.first.map { ContinuousClock.now.duration(to: $0.due) } ?? .milliseconds(50)
                LoopbackSocket.wait(for: [front, back], atMost: min(max(rest, .zero), .milliseconds(50)))
                while let (bytes, sender) = front.receive() {
                    client = sender
                    underWay.append(Datagram(due: .now + delay, bytes: bytes, isUp: true))
                }
                while let (bytes, _) = back.receive() {
                    underWay.append(Datagram(due: .now + delay, bytes: bytes, isUp: false))
                }
                while let next = underWay.first, next.due <= .now {
                    underWay.removeFirst()
                    if next.isUp {
                        back.send(next.bytes, to: port)
                    } else if let client {
                        front.send(next.bytes, to: client)
                    }
                }
            }
        }
    }

    deinit { isOver.set() }
}
