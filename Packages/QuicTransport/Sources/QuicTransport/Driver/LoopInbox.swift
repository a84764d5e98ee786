import NIOCore
import QuicCore
import Synchronization

/// Datagrams on their way to the loop that has their connection, from the sockets of other loops.
///
/// Each is copied once, from the read buffer into a queue of bounded size; the loop is woken once for all that gather
/// until it comes. What does not fit is lost, as in a full socket buffer: a loop that cannot keep up must not make the
/// others hold its datagrams.
final class LoopInbox: Sendable {
    /// One datagram in the queue's bytes.
    struct Entry: Sendable {
        var range: Range<Int>
        var remote: NetworkAddress
        var local: NetworkAddress
        var ecn: UInt8
    }

    private struct State {
        var bytes: [UInt8] = []
        var entries: [Entry] = []
        /// What the loop has emptied, to be filled again.
        var spare: (bytes: [UInt8], entries: [Entry]) = ([], [])
        var isScheduled = false
        /// nil before the loop's driver is there, and when it is closed.
        var receiver: NIOLoopBound<EndpointDriver>?
    }

    /// The most that waits, each datagram counted with what it takes besides its bytes.
    static let capacity = 4 << 20
    private static let entryCost = 128
    /// The largest buffer that is kept for the next datagrams.
    private static let spareLimit = 256 << 10

    private let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int = LoopInbox.capacity) {
        self.capacity = capacity
    }

    /// Says who gets the datagrams from now on.
    func open(_ receiver: NIOLoopBound<EndpointDriver>) {
        state.withLock { $0.receiver = receiver }
    }

    /// Takes no more, and lets go of the receiver.
    func close() {
        state.withLock { $0 = State() }
    }

    /// Leaves a datagram. Called on the loop of the socket that got it.
    ///
    /// - Returns: Whether there was room, and somebody to take it.
    func deposit(
        _ datagram: UnsafeRawBufferPointer,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8
    ) -> Bool {
        let (isTaken, wakes) = state.withLock { state -> (Bool, NIOLoopBound<EndpointDriver>?) in
            guard let receiver = state.receiver,
                state.bytes.count + datagram.count + (state.entries.count + 1) * Self.entryCost <= capacity
            else { return (false, nil) }
            let start = state.bytes.count
            state.bytes.append(contentsOf: datagram)
            state.entries.append(Entry(range: start..<state.bytes.count, remote: remote, local: local, ecn: ecn))
            guard !state.isScheduled else { return (true, nil) }
            state.isScheduled = true
            return (true, receiver)
        }
        if let wakes { wakes.eventLoop.execute { [self] in drain(to: wakes) } }
        return isTaken
    }

    /// Hands everything over, on the receiver's loop.
    private func drain(to receiver: NIOLoopBound<EndpointDriver>) {
        var (bytes, entries) = state.withLock { state in
            state.isScheduled = false
            let full = (state.bytes, state.entries)
            (state.bytes, state.entries) = state.spare
            state.spare = ([], [])
            return full
        }
        guard !entries.isEmpty else { return }
        let driver = receiver.value
        bytes.withUnsafeBytes { bytes in
            for entry in entries {
                driver.receivePassedOn(
                    UnsafeRawBufferPointer(rebasing: bytes[entry.range]),
                    from: entry.remote,
                    to: entry.local,
                    ecn: entry.ecn
                )
            }
        }
        driver.serviceTouched(gathers: true)
        bytes.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        state.withLock { state in
            // What a burst has made large is not kept.
            if state.receiver != nil, bytes.capacity <= Self.spareLimit { state.spare = (bytes, entries) }
        }
    }
}

/// What a loop counted of the datagrams that went from loop to loop.
struct LoopPassing {
    /// Handed to another loop.
    var passedOn: UInt64 = 0
    /// Not taken by another loop.
    var lost: UInt64 = 0
}
