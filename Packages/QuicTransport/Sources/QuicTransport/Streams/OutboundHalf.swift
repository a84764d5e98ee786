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
/// acknowledged reach the high-water mark and ends when they are down at the low-water mark. Where the connection's memory runs
/// out before, the writer that has the turn stands in line for that.
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
    private let memory: SendMemory

    private var pending: [OutboundSegment] = []
    private var tail: SendChunk?
    private var isHeld = false
    /// How much of the connection's memory the writer that has the turn waits for.
    private var lacking = 0
    /// Its place in line for that.
    private var ticket: SendMemory.Ticket?
    /// What is set aside for the next bytes.
    private var granted = 0
    /// The writer whose bytes are going in, running or waiting for room.
    private(set) var turn: UInt64?
    /// The writer that has the turn, while it waits for room.
    private var holder: Writer?
    private var waiting: Deque<Writer> = []

    /// Bytes written and not acknowledged.
    private(set) var outstanding = 0
    /// All bytes that were ever written.
    private(set) var totalWritten = 0

    init(highWater: Int, lowWater: Int, memory: SendMemory) {
        self.highWater = max(1, highWater)
        self.lowWater = min(max(0, lowWater), self.highWater - 1)
        self.memory = memory
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

    /// From so many bytes on an array is kept until they are acknowledged, rather than copied.
    private static var leastKept: Int { 16 << 10 }

    /// Whether `count` bytes can be appended now by a writer that takes no turn for it. Then it has to, in the same step: the
    /// memory for them is set aside.
    mutating func reserve(_ count: Int) -> Bool {
        guard case .open = phase, turn == nil, waiting.isEmpty, !isHeld else { return false }
        guard count <= highWater - outstanding else { return false }
        let needed = memoryNeeded(for: count)
        guard needed == 0 || memory.reserve(needed) || takeFirst(needed) else { return false }
        granted = needed
        return true
    }

    /// Asks for the turn, or whether it is still one's own.
    mutating func takeTurn(id: UInt64) -> Turn {
        if let error { return .failed(error) }
        if turn == id { return .proceed }
        guard turn == nil, waiting.isEmpty else { return .wait }
        turn = id
        return .proceed
    }

    /// Takes as many of the bytes behind `offset` as there is room for; returns how many. The caller has the turn.
    mutating func append(_ bytes: [UInt8], from offset: Int) -> Int {
        let wanted = room(for: bytes.count - offset)
        lacking = 0
        let done =
            wanted >= Self.leastKept
            ? keep(bytes, from: offset, count: wanted)
            : bytes.withUnsafeBytes { copy(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + wanted])) }
        returnGrant()
        outstanding += done
        totalWritten += done
        if outstanding >= highWater { isHeld = true }
        if done < wanted { lacking = firstNeeded(for: wanted - done) }
        return done
    }

    /// Notes that so many bytes are sent from where they are, or as many of them as there is memory for.
    private mutating func keep(_ bytes: [UInt8], from offset: Int, count: Int) -> Int {
        var done = min(granted, count)
        granted -= done
        if done < count {
            done += memory.reserve(atMost: count - done, atLeast: min(count - done, done > 0 ? 1 : Self.leastKept))
        }
        guard done > 0 else { return 0 }
        // What comes behind it begins a chunk: the last one is free once its bytes have arrived.
        tail = nil
        let chunk = SendChunk(keeping: bytes, charge: done, memory: memory)
        pending.append(OutboundSegment(chunk: chunk, offset: offset, count: done))
        return done
    }

    private mutating func copy(_ bytes: UnsafeRawBufferPointer) -> Int {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let chunk: SendChunk
            if let tail, tail.count < tail.capacity {
                chunk = tail
            } else if let capacity = takeMemory(for: rest.count) {
                chunk = memory.chunk(capacity)
                tail = chunk
            } else {
                break
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
        return done
    }

    private func room(for count: Int) -> Int { isHeld ? 0 : min(count, max(0, highWater - outstanding)) }

    // MARK: Memory

    /// How large the next chunk is: as large as what the stream has on its way, so that one that sends much has few of them.
    private func capacity(for count: Int) -> Int { SendChunkPool.capacity(for: max(count, outstanding)) }

    private var roomInTail: Int { tail.map { $0.capacity - $0.count } ?? 0 }

    /// What ``append(_:from:)`` takes for so many bytes.
    private func memoryNeeded(for count: Int) -> Int {
        guard count < Self.leastKept else { return count }
        var more = count - roomInTail
        var needed = 0
        while more > 0 {
            let capacity = capacity(for: more)
            needed += capacity
            more -= capacity
        }
        return needed
    }

    /// What is needed to go on with so many bytes: not all of it at once, for others are to have their turns.
    private func firstNeeded(for count: Int) -> Int {
        guard count < Self.leastKept else { return Self.leastKept }
        return SendChunkPool.capacity(for: max(1, count - roomInTail))
    }

    /// How large a chunk may be that is begun now: of what was set aside, or new memory; where there is little, only as large as
    /// so many bytes need. `nil` where there is none.
    private mutating func takeMemory(for count: Int) -> Int? {
        let preferred = capacity(for: count)
        if granted >= SendChunkPool.smallChunkSize {
            let taken = min(granted, preferred)
            granted -= taken
            return taken
        }
        returnGrant()
        if memory.reserve(preferred) { return preferred }
        let least = SendChunkPool.capacity(for: count)
        if least < preferred, memory.reserve(least) { return least }
        return takeFirst(SendChunkPool.smallChunkSize) ? SendChunkPool.smallChunkSize : nil
    }

    /// The smallest chunk is there for a stream of which nothing is on its way, whatever the others hold: negotiations and
    /// short messages get through beside streams that nobody reads.
    private func takeFirst(_ count: Int) -> Bool {
        guard outstanding == 0, tail == nil, count <= SendChunkPool.smallChunkSize else { return false }
        memory.exceed(by: count)
        return true
    }

    private mutating func returnGrant() {
        memory.giveBack(granted)
        granted = 0
    }

    /// Whether it is for want of memory that this writer waits.
    func lacksMemory(id: UInt64) -> Bool { lacking > 0 && holder?.id == id }

    /// Puts the writer that has the turn in line for memory, if it waits for that.
    ///
    /// - Parameter waiter: Calls ``memoryGranted(_:for:)``.
    mutating func standInLine(_ waiter: any SendMemoryWaiter) {
        guard lacking > 0, holder != nil, ticket == nil else { return }
        ticket = memory.wait(waiter, needs: lacking)
        if ticket == nil {
            granted = lacking
            lacking = 0
        }
    }

    /// The writer that has the turn needs no memory any more.
    private mutating func leaveLine() {
        if let ticket { memory.leave(ticket) }
        ticket = nil
        lacking = 0
        returnGrant()
    }

    /// There is memory for who stood in line; returns the writer to be resumed. It goes back when he has left meanwhile.
    mutating func memoryGranted(_ bytes: Int, for ticket: SendMemory.Ticket) -> Waiter? {
        guard self.ticket == ticket else {
            memory.giveBack(bytes)
            return nil
        }
        self.ticket = nil
        granted = bytes
        lacking = 0
        return advance()
    }

    // MARK: Turns

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
            // The next one may need none, or another stream may.
            leaveLine()
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
        leaveLine()
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
        if lacking > 0 { return nil }
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
