import DequeModule
import QuicCore

/// The receiving half of one stream: bytes in order, how they end, who waits for them, and the credit to give back.
///
/// ```
///            deliver(fin)              last byte read
///   open ───────────────────► finished ─────────────► reads give nil
///    │ reset by the peer, connection lost
///    ├───────────────────────► failed ──────────────► reads give what is buffered, then throw
///    │ closeRead, reset here
///    └───────────────────────► closed                 reads throw at once; the buffer is thrown away
/// ```
/// Impossible inputs: none. From the peer but harmless: bytes after `closed` (thrown away, credited), anything after
/// `finished` or `failed` (ignored).
///
/// A pure value: the caller provides the lock, and resumes waiters after it let go of it.
struct InboundHalf<Waiter> {
    /// What a read comes to: bytes, nil at the end of the stream, or an error.
    typealias Outcome = Result<[UInt8]?, QuicError>
    /// A waiter to be resumed with its outcome.
    struct ServedReader {
        var waiter: Waiter
        var outcome: Outcome
    }
    /// Waiters to be resumed.
    typealias Served = [ServedReader]

    private enum Phase {
        case open
        case finished
        case failed(QuicError)
        case closed(QuicError)
    }

    private struct Reader {
        var id: UInt64
        var maxLength: Int
        var waiter: Waiter
    }

    private var phase = Phase.open
    private var chunks: Deque<[UInt8]> = []
    /// Bytes of the first chunk that were read.
    private var headOffset = 0
    private var readers: Deque<Reader> = []
    private let window: Int
    private let highWater: Int
    private let lowWater: Int
    /// The reader is behind: credit is kept until it has caught up.
    private var holdsCredit = false

    /// Bytes that wait for a reader.
    private(set) var buffered = 0
    /// Bytes that were read or thrown away and whose credit was not returned.
    private(set) var unreturnedCredit = 0
    /// All bytes that ever arrived, but for those after `closed`.
    private(set) var totalReceived = 0

    /// - Parameters:
    ///   - window: The stream's receive window in bytes; credit is returned when half of it was read.
    ///   - highWater: Credit is held back from so many unread bytes on …
    ///   - lowWater: … until no more than so many are left.
    init(window: Int, highWater: Int = .max, lowWater: Int = .max) {
        self.window = max(1, window)
        self.highWater = highWater
        self.lowWater = min(lowWater, highWater)
    }

    /// Whether the peer can still change anything: neither end nor error was seen, nor was the half closed here.
    var isOpen: Bool {
        if case .open = phase { true } else { false }
    }

    /// Whether it is time to wake the loop for credit: half a window gathered, or nothing is left to read.
    var isCreditDue: Bool {
        unreturnedCredit > 0 && !holdsCredit && (buffered == 0 || unreturnedCredit >= window - unreturnedCredit)
    }

    /// Whether the peer cannot go on until somebody reads here.
    var holdsPeerUp: Bool { isOpen && buffered >= window }

    // MARK: Reading

    /// Reads up to `maxLength` bytes; nil when the caller has to wait.
    mutating func read(upTo maxLength: Int) -> Outcome? {
        readers.isEmpty ? outcome(upTo: maxLength) : nil
    }

    /// Takes up to `maxLength` bytes if some are there and nobody waits for them.
    mutating func readAtOnce(upTo maxLength: Int) -> [UInt8]? {
        guard readers.isEmpty, buffered > 0, maxLength > 0 else { return nil }
        return take(upTo: maxLength)
    }

    /// Adds a waiter, after ``read(upTo:)`` gave nil under the same lock.
    mutating func wait(id: UInt64, upTo maxLength: Int, waiter: Waiter) {
        readers.append(Reader(id: id, maxLength: maxLength, waiter: waiter))
    }

    /// Takes a waiter out again. nil when it was served before.
    mutating func cancel(id: UInt64) -> Waiter? {
        guard let index = readers.firstIndex(where: { $0.id == id }) else { return nil }
        return readers.remove(at: index).waiter
    }

    private mutating func outcome(upTo maxLength: Int) -> Outcome? {
        if case .closed(let error) = phase { return .failure(error) }
        if buffered > 0 { return .success(take(upTo: maxLength)) }
        switch phase {
        case .open: return nil
        case .finished: return .success(nil)
        case .failed(let error), .closed(let error): return .failure(error)
        }
    }

    private mutating func take(upTo maxLength: Int) -> [UInt8] {
        let available = chunks[0].count - headOffset
        let result: [UInt8]
        if available <= maxLength {
            let chunk = chunks.removeFirst()
            // A whole chunk goes out as it came in.
            result = headOffset == 0 ? chunk : Array(chunk[headOffset...])
            headOffset = 0
        } else {
            result = Array(chunks[0][headOffset..<headOffset + maxLength])
            headOffset += maxLength
        }
        buffered -= result.count
        if buffered <= lowWater { holdsCredit = false }
        unreturnedCredit += result.count
        return result
    }

    private mutating func serve() -> Served {
        var served: Served = []
        serve(&served)
        return served
    }

    private mutating func serve(_ served: inout Served) {
        while let reader = readers.first, let outcome = outcome(upTo: reader.maxLength) {
            readers.removeFirst()
            served.append(ServedReader(waiter: reader.waiter, outcome: outcome))
        }
    }

    // MARK: What the loop reports

    /// Bytes arrived in order, and with `fin` the end of the stream. Waiters that have their bytes now are appended.
    mutating func deliver(_ chunk: consuming [UInt8], fin: Bool, to served: inout Served) {
        switch phase {
        case .open: break
        case .closed:
            unreturnedCredit += chunk.count
            return
        case .finished, .failed: return
        }
        totalReceived += chunk.count
        buffered += chunk.count
        if buffered > highWater { holdsCredit = true }
        if !chunk.isEmpty { append(chunk) }
        if fin { phase = .finished }
        if !readers.isEmpty { serve(&served) }
    }

    /// Small pieces are gathered in one chunk: a peer that sends single bytes must not make us keep an array for each.
    private mutating func append(_ chunk: consuming [UInt8]) {
        // Only the count: a reference to the array itself would make the append copy it.
        if chunk.count < 1024, let lastCount = chunks.last?.count, lastCount + chunk.count <= 16 << 10 {
            chunks[chunks.count - 1].append(contentsOf: chunk)
        } else {
            chunks.append(chunk)
        }
    }

    /// The peer reset the stream or the connection is lost: what is buffered can be read, then comes the error.
    mutating func fail(_ error: QuicError) -> Served {
        guard isOpen else { return [] }
        phase = .failed(error)
        return serve()
    }

    /// Closed on this side: reads throw `error` from here on.
    ///
    /// - Returns: The waiters, and whether the peer has to be told (it may still be sending).
    mutating func close(_ error: QuicError) -> (served: Served, tellsPeer: Bool) {
        if case .closed = phase { return ([], false) }
        let wasOpen = isOpen
        phase = .closed(error)
        unreturnedCredit += buffered
        buffered = 0
        holdsCredit = false
        chunks = []
        headOffset = 0
        return (serve(), wasOpen)
    }

    /// Hands the credit over.
    mutating func takeCredit() -> Int {
        guard !holdsCredit else { return 0 }
        defer { unreturnedCredit = 0 }
        return unreturnedCredit
    }
}

extension InboundHalf.ServedReader: Sendable where Waiter: Sendable {}
