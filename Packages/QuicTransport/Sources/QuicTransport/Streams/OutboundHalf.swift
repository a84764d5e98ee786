import DequeModule
import QuicCore

/// The sending half of one stream: bytes on their way to the loop, how many the peer has not acknowledged, and who waits
/// to write.
///
/// ```
///           finish          taken by the loop
///   open ──────────► ending ──────────────────► ended     writes throw streamClosed
///    │ reset here, stopped by the peer, connection lost
///    └─────────────► failed                               writes throw, what was not taken is thrown away
/// ```
/// Writers take turns: one at a time copies its bytes in, the others wait in order. `hold` sets in when the bytes not
/// acknowledged reach the high-water mark and ends when they are down at the low-water mark.
///
/// A pure value: the caller provides the lock, and resumes waiters after it let go of it.
struct OutboundHalf<Waiter> {
    private enum Phase {
        case open
        case ending
        case ended
        case failed(QuicError)
    }

    private struct Writer {
        var id: UInt64
        var waiter: Waiter
    }

    /// What a writer may do now.
    enum Turn {
        case proceed
        case wait
        case failed(QuicError)
    }

    private var phase = Phase.open
    private let highWater: Int
    private let lowWater: Int
    private let pool: SendChunkPool

    private var pending: [OutboundSegment] = []
    private var tail: SendChunk?
    private var isHeld = false
    /// The writer whose bytes are going in, running or waiting for room.
    private(set) var turn: UInt64?
    /// The writer that has the turn, while it waits for room.
    private var holder: Writer?
    private var waiting: Deque<Writer> = []

    /// Bytes written and not acknowledged.
    private(set) var outstanding = 0
    /// All bytes that were ever written.
    private(set) var totalWritten = 0

    init(highWater: Int, lowWater: Int, pool: SendChunkPool) {
        self.highWater = max(1, highWater)
        self.lowWater = min(max(0, lowWater), self.highWater - 1)
        self.pool = pool
    }

    /// Whether something waits for the loop.
    var hasPending: Bool {
        if case .ending = phase { true } else { !pending.isEmpty }
    }

    /// Whether more can be written.
    var isOpen: Bool {
        if case .open = phase { true } else { false }
    }

    /// Whether a reset would still tell the peer anything.
    var canBeReset: Bool {
        switch phase {
        case .open, .ending: true
        case .ended: outstanding > 0
        case .failed: false
        }
    }

    /// Whether the half was ended in an orderly way.
    var isEnded: Bool {
        switch phase {
        case .ending, .ended: true
        case .open, .failed: false
        }
    }

    private var error: QuicError? {
        switch phase {
        case .open: nil
        case .ending, .ended: .closedForWriting
        case .failed(let error): error
        }
    }

    // MARK: Writing

    /// Whether `count` bytes can be appended now by a writer that takes no turn for it.
    func hasRoom(for count: Int) -> Bool {
        guard case .open = phase, turn == nil, waiting.isEmpty, !isHeld else { return false }
        return count <= highWater - outstanding
    }

    /// Asks for the turn, or whether it is still one's own.
    mutating func takeTurn(id: UInt64) -> Turn {
        if let error { return .failed(error) }
        if turn == id { return .proceed }
        guard turn == nil, waiting.isEmpty else { return .wait }
        turn = id
        return .proceed
    }

    /// From so many bytes on an array is kept until they are acknowledged, rather than copied.
    private static var leastKept: Int { 16 << 10 }

    /// Takes as many of the bytes behind `offset` as there is room for; returns how many. The caller has the turn.
    mutating func append(_ bytes: [UInt8], from offset: Int) -> Int {
        let count = room(for: bytes.count - offset)
        guard count >= Self.leastKept, let chunk = SendChunk(keeping: bytes) else {
            return bytes.withUnsafeBytes { append(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
        }
        pending.append(OutboundSegment(chunk: chunk, offset: offset, count: count))
        note(count)
        return count
    }

    /// Copies as many of the bytes as there is room for; returns how many. The caller has the turn.
    mutating func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        let total = room(for: bytes.count)
        var done = 0
        while done < total {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done..<total])
            let chunk: SendChunk
            if let tail, tail.count < tail.capacity {
                chunk = tail
            } else {
                chunk = pool.chunk(for: rest.count)
                tail = chunk
            }
            let offset = chunk.count
            let count = chunk.append(rest)
            if let last = pending.last, last.chunk === chunk {
                pending[pending.count - 1].count += count
            } else {
                pending.append(OutboundSegment(chunk: chunk, offset: offset, count: count))
            }
            done += count
        }
        note(total)
        return total
    }

    private func room(for count: Int) -> Int { isHeld ? 0 : min(count, max(0, highWater - outstanding)) }

    private mutating func note(_ count: Int) {
        outstanding += count
        totalWritten += count
        if outstanding >= highWater { isHeld = true }
    }

    /// Ends the stream behind what was written. The caller has the turn.
    mutating func finish() {
        if case .open = phase { phase = .ending }
    }

    /// Gives the turn back; returns the next writer to be resumed.
    mutating func endTurn(id: UInt64) -> Waiter? {
        guard turn == id else { return nil }
        turn = nil
        return advance()
    }

    /// Adds a waiter: for room when it has the turn, else for the turn.
    mutating func wait(id: UInt64, waiter: Waiter) {
        let writer = Writer(id: id, waiter: waiter)
        if turn == id { holder = writer } else { waiting.append(writer) }
    }

    /// Takes a waiter out again, and gives its turn to the next. Both are nil when it was resumed before.
    mutating func cancel(id: UInt64) -> (cancelled: Waiter?, next: Waiter?) {
        if let writer = holder, writer.id == id {
            holder = nil
            return (writer.waiter, endTurn(id: id))
        }
        guard let index = waiting.firstIndex(where: { $0.id == id }) else { return (nil, nil) }
        return (waiting.remove(at: index).waiter, nil)
    }

    /// Everybody who waits, once the half is over. Each of them asks again and gets the error.
    private mutating func releaseAll() -> [Waiter] {
        var released: [Waiter] = []
        if let holder { released.append(holder.waiter) }
        holder = nil
        turn = nil
        released += waiting.map(\.waiter)
        waiting = []
        return released
    }

    /// Who may go on now: the writer that waits for room if there is some, else the next in line.
    mutating func advance() -> Waiter? {
        if case .open = phase {} else { return nil }
        if isHeld {
            guard outstanding <= lowWater else { return nil }
            isHeld = false
        }
        if let writer = holder {
            holder = nil
            return writer.waiter
        }
        guard turn == nil, let next = waiting.popFirst() else { return nil }
        turn = next.id
        return next.waiter
    }

    /// Waiters left after the stream was ended; they are to be resumed and get the error.
    mutating func releaseIfOver() -> [Waiter] {
        if case .open = phase { return [] }
        return releaseAll()
    }

    // MARK: What the loop does

    /// Moves what was written out. Returns whether the end of the stream comes behind it.
    mutating func take(into segments: inout [OutboundSegment]) -> Bool {
        if segments.isEmpty {
            swap(&segments, &pending)
        } else {
            segments += pending
            pending.removeAll(keepingCapacity: true)
        }
        guard case .ending = phase else { return false }
        phase = .ended
        tail = nil
        return true
    }

    /// The peer acknowledged bytes; returns the next writer to be resumed.
    mutating func freed(_ count: Int) -> Waiter? {
        outstanding = max(0, outstanding - count)
        // An idle stream holds no memory.
        if outstanding == 0 { tail = nil }
        return advance()
    }

    /// Breaks the half: nothing that was not taken is sent. Does nothing on a half that is over and acknowledged.
    mutating func fail(_ error: QuicError) -> [Waiter] {
        guard canBeReset else { return [] }
        phase = .failed(error)
        pending = []
        tail = nil
        outstanding = 0
        return releaseAll()
    }
}

extension QuicError {
    /// A write after the sending half was closed.
    static var closedForWriting: QuicError {
        QuicError(.streamClosed, "the stream is closed for writing; open another one to send more")
    }

    /// A read after the receiving half was closed.
    static var closedForReading: QuicError {
        QuicError(.streamClosed, "the stream is closed for reading; nothing more can be read from it")
    }
}
