internal import DequeModule

/// What the connection keeps for one stream.
///
/// ngtcp2 holds an unretained pointer to this object as the stream's user data; the stream table owns it until the
/// stream-close callback, after which ngtcp2 does not use the pointer any more.
final class StreamRecord {
    let id: StreamID

    // MARK: receiving

    /// What arrived since the last drain. It stands in memory of its own, which the record frees and nobody else knows: it
    /// is touched for each packet, and a property of an object costs a look at a table of who else touches it.
    let arrivals: UnsafeMutablePointer<StreamArrivals>
    /// Lets the window grow; `nil` where the library sees to it.
    var tuner: WindowTuner?

    // MARK: sending

    /// Segments that are not acknowledged in full, oldest first. Looked at many times for each packet, like
    /// ``ConnectionCore/queues``, and as safe: owners of bytes are let go when the change is over, not within it.
    #if !DEBUG
    @exclusivity(unchecked)
    #endif
    var segments: Deque<SendSegment> = []
    /// Bytes of the first segment that are acknowledged.
    var acknowledgedInFirst = 0
    /// The first segment with unsent bytes, as an index into `segments`, and the bytes of it that were sent.
    var unsentIndex = 0
    var sentInUnsent = 0
    /// The end of the stream was asked for, and handed to the library.
    var endQueued = false
    var endSent = false
    /// The sending half was reset or stopped: nothing more goes out. The segments stay until the stream-close callback,
    /// because packets in flight may still point into them.
    var sendingOver = false
    /// The record stands in the connection's queue of streams to send.
    var isQueued = false
    /// The peer's flow control holds the stream back.
    var isBlocked = false
    /// The record stands in the connection's list of streams that wait for connection credit.
    var isHeld = false
    /// Bytes acknowledged since the last report.
    var unreportedAcknowledged = 0

    init(id: StreamID, tuner: WindowTuner? = nil) {
        self.id = id
        self.tuner = tuner
        arrivals = .allocate(capacity: 1)
        arrivals.initialize(to: StreamArrivals())
    }

    deinit {
        arrivals.deinitialize(count: 1)
        arrivals.deallocate()
    }

    var hasUnsentBytes: Bool { unsentIndex < segments.count }

    /// Whether more than so many bytes are unsent.
    func hasUnsentBytes(beyond count: Int) -> Bool {
        var left = count + sentInUnsent
        var index = unsentIndex
        while left >= 0, index < segments.count {
            left -= segments[index].count
            index += 1
        }
        return left < 0
    }

    var wantsToSend: Bool { !sendingOver && !isBlocked && (hasUnsentBytes || (endQueued && !endSent)) }

    /// Moves the cursor over bytes that the library has taken.
    func advance(by count: Int) {
        var left = count
        while left > 0, unsentIndex < segments.count {
            let available = segments[unsentIndex].count - sentInUnsent
            if left < available {
                sentInUnsent += left
                return
            }
            left -= available
            unsentIndex += 1
            sentInUnsent = 0
        }
    }

    /// Lets go of bytes that the peer has acknowledged.
    func acknowledge(_ count: Int) {
        unreportedAcknowledged += count
        var left = count
        while left > 0, let first = segments.first {
            let remaining = first.count - acknowledgedInFirst
            if left < remaining {
                acknowledgedInFirst += left
                return
            }
            left -= remaining
            acknowledgedInFirst = 0
            segments.removeFirst()
            unsentIndex = max(0, unsentIndex - 1)
        }
    }

    /// Nothing more goes out. What the library has not seen is let go at once; what is in flight when the stream closes.
    func stopSending() {
        sendingOver = true
        let inUse = unsentIndex + (sentInUnsent > 0 ? 1 : 0)
        let given = segments
        if inUse < segments.count { segments.removeLast(segments.count - inUse) }
        unsentIndex = segments.count
        sentInUnsent = 0
        withExtendedLifetime(given) {}
    }
}
