import QuicCore
import Synchronization

/// A piece of memory at a fixed address that bytes to be sent are copied into, once; or an array that is sent from where it is.
///
/// ngtcp2 reads the bytes again for retransmissions until they are acknowledged; whoever holds an
/// ``OutboundSegment`` keeps its chunk alive.
///
/// Sendable, because one side only appends and the other only reads what was appended: bytes at `0..<count` never
/// change while the chunk lives, `append` and `count` are used only under the lock of the mailbox that owns the chunk,
/// and the reader learns of a range through that same lock after it was written.
final class SendChunk: @unchecked Sendable {
    /// The first byte.
    let base: UnsafeMutableRawPointer
    /// How many bytes fit.
    let capacity: Int
    private(set) var count = 0
    private let memory: SendMemory
    /// What is sent from where it is, and how much of it is charged.
    private let kept: (array: [UInt8], charge: Int)?

    /// - Parameter memory: Gets the bytes at `base` back.
    init(base: UnsafeMutableRawPointer, capacity: Int, memory: SendMemory) {
        self.base = base
        self.capacity = capacity
        self.memory = memory
        kept = nil
    }

    /// The bytes of an array that is not empty, without a copy of them; the chunk is full.
    ///
    /// An array's elements stay where they are while somebody holds its storage and nobody changes it. This holds it; whoever
    /// else has the array and changes it gets a storage of his own first, because it is shared.
    ///
    /// - Parameters:
    ///   - charge: So many bytes of the memory were set aside for it: those that are sent from this chunk.
    ///   - memory: Gets the charge back.
    init(keeping array: [UInt8], charge: Int, memory: SendMemory) {
        guard let base = array.withUnsafeBytes({ UnsafeMutableRawPointer(mutating: $0.baseAddress) }) else {
            preconditionFailure("an array that is not empty has an address")
        }
        self.base = base
        capacity = array.count
        count = array.count
        self.memory = memory
        kept = (array, charge)
    }

    deinit {
        if let kept {
            memory.giveBack(kept.charge)
        } else {
            memory.recycle(base, capacity: capacity)
        }
    }

    /// Copies as many bytes as fit; returns how many.
    func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        let length = min(bytes.count, capacity - count)
        guard length > 0, let source = bytes.baseAddress else { return 0 }
        (base + count).copyMemory(from: source, byteCount: length)
        count += length
        return length
    }
}

/// A run of bytes of a chunk, on its way to the peer.
struct OutboundSegment: Sendable {
    /// What keeps the bytes where they are.
    let chunk: SendChunk
    /// The first byte's offset in the chunk.
    let offset: Int
    /// The number of bytes, at least 1.
    var count: Int

    /// The first byte.
    var base: UnsafeRawPointer { UnsafeRawPointer(chunk.base + offset) }

    /// The same run as the protocol core takes it.
    var sendSegment: SendSegment { SendSegment(owner: chunk, base: base, count: count) }
}

/// Keeps the memory of large chunks for the next stream that sends much.
///
/// Streams that send little get a smaller chunk from the allocator instead: thousands of them must not hold 64 KiB each.
final class SendChunkPool: Sendable {
    /// Bytes of a large chunk.
    static let chunkSize = 64 << 10
    /// Bytes of the smallest chunk.
    static let smallChunkSize = 4 << 10

    /// Sendable: the memory is referred to from nowhere else while it is in the pool.
    private struct FreeMemory: @unchecked Sendable {
        var base: UnsafeMutableRawPointer
    }
    private let free = Mutex<[FreeMemory]>([])
    private let limit: Int

    /// - Parameter limit: The most chunks kept for reuse.
    init(limit: Int = 64) {
        self.limit = limit
    }

    deinit {
        free.withLock { free in
            for memory in free { memory.base.deallocate() }
            free = []
        }
    }

    /// How large the chunk is that takes at least a part of `count` bytes: the next power of two between the two sizes. What a
    /// stream that sends little is charged is in proportion to that.
    static func capacity(for count: Int) -> Int {
        if count <= smallChunkSize { return smallChunkSize }
        if count > chunkSize / 2 { return chunkSize }
        return 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount)
    }

    /// Memory for a chunk of that capacity.
    func take(_ capacity: Int) -> UnsafeMutableRawPointer {
        let kept = capacity == Self.chunkSize ? free.withLock { $0.popLast() } : nil
        return kept?.base ?? UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64)
    }

    /// How many chunks wait for reuse.
    var freeCount: Int { free.withLock { $0.count } }

    /// Takes back what ``take(_:)`` gave.
    func recycle(_ base: UnsafeMutableRawPointer, capacity: Int) {
        guard capacity == Self.chunkSize else { return base.deallocate() }
        let memory = FreeMemory(base: base)
        let isKept = free.withLock { free in
            guard free.count < limit else { return false }
            free.append(memory)
            return true
        }
        if !isKept { base.deallocate() }
    }
}
