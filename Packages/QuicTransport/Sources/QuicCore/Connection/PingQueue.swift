internal import CNgtcp2Shims

/// Pings that were asked for, and those whose packets are on their way: one packet answers for all that waited for it.
///
/// Several packets can be on their way, so that a ping does not wait for one that was lost. Each is watched in a slot.
struct PingQueue {
    /// The most that may wait, so that they cannot pile up on a path that carries nothing.
    static let limit = 64
    /// The most packets on their way.
    static let slots = Int(LP2P_PING_SLOTS)

    private var nextID: UInt64 = 0
    private var waiting: [UInt64] = []
    private var onTheirWay: [(ids: [UInt64], giveUpAt: UInt64)?] = Array(repeating: nil, count: slots) {
        didSet { hasPacketsOnTheirWay = onTheirWay.contains { $0 != nil } }
    }

    /// Whether an acknowledgement may be under way.
    private(set) var hasPacketsOnTheirWay = false

    /// Asks for a ping; `nil` when too many wait.
    mutating func add() -> UInt64? {
        let sent = onTheirWay.reduce(0) { $0 + ($1?.ids.count ?? 0) }
        guard waiting.count + sent < Self.limit else { return nil }
        nextID += 1
        waiting.append(nextID)
        return nextID
    }

    /// Whether a packet for some of them is to be written.
    func isDue(now: UInt64) -> Bool {
        // Asked several times for each batch, and nearly always there are none.
        if waiting.isEmpty, !hasPacketsOnTheirWay { return false }
        if !waiting.isEmpty, onTheirWay.contains(where: { $0 == nil }) { return true }
        return onTheirWay.contains { isLost($0, now: now) }
    }

    /// The slots of the packets on their way.
    var slotsInUse: [Int] { onTheirWay.indices.filter { onTheirWay[$0] != nil } }

    /// When those that wait are tried again, where no packet could be written at the time of another.
    var retryAt: UInt64?

    /// When to try again, should a packet have been lost or not been written.
    var deadline: UInt64? {
        guard hasPacketsOnTheirWay else { return retryAt }
        let lost = onTheirWay.compactMap { $0?.giveUpAt }.min()
        return retryAt.map { min($0, lost ?? $0) } ?? lost
    }

    /// A packet was written, for those that waited and those whose packet was lost. Returns its slot, if any was due.
    mutating func sent(giveUpAt: UInt64, now: UInt64) -> Int? {
        var ids: [UInt64] = []
        for index in onTheirWay.indices where isLost(onTheirWay[index], now: now) {
            ids += onTheirWay[index]?.ids ?? []
            onTheirWay[index] = nil
        }
        guard let slot = onTheirWay.firstIndex(where: { $0 == nil }) else { return nil }
        ids += waiting
        guard !ids.isEmpty else { return nil }
        waiting = []
        onTheirWay[slot] = (ids, giveUpAt)
        return slot
    }

    /// No packet could be written now: a later turn tries again.
    mutating func postpone(until time: UInt64, now: UInt64) {
        for index in onTheirWay.indices where isLost(onTheirWay[index], now: now) { onTheirWay[index]?.giveUpAt = time }
    }

    /// The packet of a slot has arrived. Returns the pings that it answers.
    mutating func acknowledged(_ slot: Int) -> [UInt64] {
        defer { onTheirWay[slot] = nil }
        return onTheirWay[slot]?.ids ?? []
    }

    private func isLost(_ packet: (ids: [UInt64], giveUpAt: UInt64)?, now: UInt64) -> Bool {
        packet.map { now >= $0.giveUpAt } ?? false
    }
}
