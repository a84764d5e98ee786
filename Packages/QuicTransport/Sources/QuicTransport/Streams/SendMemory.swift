import DequeModule
import Synchronization

/// A writer that stands in line for memory.
protocol SendMemoryWaiter: AnyObject, Sendable {
    /// So many bytes are set aside for who got that ticket; they are to be used or given back. The event loop calls it.
    func memoryGranted(_ bytes: Int, for ticket: SendMemory.Ticket)
}

/// The send memory of one connection: what its streams have written and the peer has not acknowledged takes no more of it than
/// a limit, however many streams there are.
///
/// Memory is charged when it is set aside for a writer, and until nobody refers to the bytes in it any more, so that what a
/// stream left behind in flight counts as well. Who finds no room stands in line with what he needs, and nobody is served
/// past the line, but for the first few bytes of a stream (``exceed(by:)``). Whenever there is room for its first, the event loop is woken, which calls ``next()``.
///
/// Locks are taken in the order mailbox, this, ``WakeList``.
final class SendMemory: Sendable {
    /// A place in the line; none is used twice.
    typealias Ticket = UInt64

    private struct Entry {
        var needed: Int
        var waiter: any SendMemoryWaiter
    }

    private struct State {
        /// Bytes of all chunks there are, and those set aside.
        var used = 0
        /// Tickets in order; those without an entry have left.
        var line: Deque<Ticket> = []
        var entries: [Ticket: Entry] = [:]
        var lastTicket: Ticket = 0
        /// The loop was woken, and has not asked since for as long as there was somebody to serve.
        var isSignalled = false
        /// Nothing comes back any more: nobody is to wait.
        var isClosed = false

        /// The first in line.
        mutating func first() -> (ticket: Ticket, entry: Entry)? {
            while let ticket = line.first {
                if let entry = entries[ticket] { return (ticket, entry) }
                line.removeFirst()
            }
            return nil
        }

        func hasRoom(for count: Int, limit: Int) -> Bool { used == 0 || count <= limit - used }

        /// Whether the loop has to be woken now.
        mutating func wakesLoop(limit: Int) -> Bool {
            guard !isSignalled, let (_, entry) = first(), hasRoom(for: entry.needed, limit: limit) else { return false }
            isSignalled = true
            return true
        }
    }

    private let limit: Int
    private let pool: SendChunkPool
    private let wakeLoop: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - pool: Where the memory comes from.
    ///   - limit: The most bytes at once; the first one to ask gets what he needs in any case.
    ///   - wakeLoop: Makes the loop call ``next()`` soon. Called from any thread, with a mailbox's lock held.
    init(pool: SendChunkPool, limit: Int, wakeLoop: @escaping @Sendable () -> Void) {
        self.pool = pool
        self.limit = limit
        self.wakeLoop = wakeLoop
    }

    /// The bytes of all chunks there are, and those set aside.
    var used: Int { state.withLock { $0.used } }

    /// How many stand in line.
    var waiting: Int { state.withLock { $0.entries.count } }

    /// Sets so many bytes aside for the caller. `false` where there is no room, or others stand in line for it.
    func reserve(_ count: Int) -> Bool { reserve(atMost: count, atLeast: count) > 0 }

    /// Sets bytes aside for the caller, as many of those he wants as there are; 0 where that is fewer than `atLeast`, or others
    /// stand in line for them.
    func reserve(atMost count: Int, atLeast least: Int) -> Int {
        state.withLock { state in
            guard state.entries.isEmpty, state.hasRoom(for: least, limit: limit) else { return 0 }
            let granted = min(count, max(limit - state.used, least))
            state.used += granted
            return granted
        }
    }

    /// Sets so many bytes aside for the caller, whether there is room or not, and whoever stands in line.
    func exceed(by count: Int) { state.withLock { $0.used += count } }

    /// A chunk in memory that the caller had set aside.
    func chunk(_ capacity: Int) -> SendChunk {
        SendChunk(base: pool.take(capacity), capacity: capacity, memory: self)
    }

    /// Takes back the memory of a chunk that nobody uses any more.
    func recycle(_ base: UnsafeMutableRawPointer, capacity: Int) {
        pool.recycle(base, capacity: capacity)
        giveBack(capacity)
    }

    /// Takes back what was set aside.
    func giveBack(_ count: Int) {
        guard count > 0 else { return }
        let wakes = state.withLock { state in
            state.used -= count
            return state.wakesLoop(limit: limit)
        }
        if wakes { wakeLoop() }
    }

    /// Stands in line for so many bytes. `nil` when there is room by now: they are set aside then.
    func wait(_ waiter: any SendMemoryWaiter, needs count: Int) -> Ticket? {
        state.withLock { state in
            if state.entries.isEmpty, state.hasRoom(for: count, limit: limit) {
                state.used += count
                return nil
            }
            state.lastTicket += 1
            // When the connection is over its streams fail, and with them those that wait.
            guard !state.isClosed else { return state.lastTicket }
            state.entries[state.lastTicket] = Entry(needed: count, waiter: waiter)
            state.line.append(state.lastTicket)
            return state.lastTicket
        }
    }

    /// Leaves the line; does nothing for who was served.
    func leave(_ ticket: Ticket) {
        let wakes = state.withLock { state in
            // The caller has the mailbox too, so that nothing is released here.
            guard state.entries.removeValue(forKey: ticket) != nil else { return false }
            if state.line.count > 64 + 2 * state.entries.count {
                let entries = state.entries
                state.line.removeAll { entries[$0] == nil }
            }
            // He may have kept those behind him waiting.
            return state.wakesLoop(limit: limit)
        }
        if wakes { wakeLoop() }
    }

    /// The first in line, if there is room for what it needs, which is set aside. The loop asks until there is nobody.
    func next() -> (waiter: any SendMemoryWaiter, bytes: Int, ticket: Ticket)? {
        state.withLock { state in
            guard let (ticket, entry) = state.first(), state.hasRoom(for: entry.needed, limit: limit) else {
                state.isSignalled = false
                return nil
            }
            state.used += entry.needed
            state.line.removeFirst()
            state.entries[ticket] = nil
            return (entry.waiter, entry.needed, ticket)
        }
    }

    /// Lets go of those in line: the connection is over, and so are their streams.
    func close() {
        // They are released outside of the lock.
        _ = state.withLock { state -> [Ticket: Entry] in
            state.isClosed = true
            state.line = []
            defer { state.entries = [:] }
            return state.entries
        }
    }
}
