internal import HeapModule
public import QuicCore

/// A datagram under way.
public struct SimulatedDatagram {
    /// The UDP payload.
    public var bytes: [UInt8]
    /// The address the network sees it come from, behind any translation.
    public var from: NetworkAddress
    /// Where it goes.
    public var to: NetworkAddress
    /// The two ECN bits of the IP header: 0 none, 2 ECT(0), 3 CE.
    public var ecn: UInt8
}

extension SimulatedDatagram: CustomStringConvertible {
    /// Addresses, size, ECN bits and the first bytes.
    public var description: String {
        let start = bytes.prefix(24).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return "\(from) > \(to) \(bytes.count) bytes, ecn \(ecn), \(start)"
    }
}

/// What became of the datagrams of a simulation.
public struct NetworkStatistics: Sendable, Hashable {
    /// Datagrams that nodes sent, and their bytes.
    public internal(set) var sent = 0
    /// Bytes of UDP payload that nodes sent.
    public internal(set) var bytesSent = 0
    /// Datagrams that reached a node, copies included.
    public internal(set) var delivered = 0
    /// Lost by chance.
    public internal(set) var lost = 0
    /// Lost in a blackhole.
    public internal(set) var swallowed = 0
    /// Dropped by a full queue.
    public internal(set) var overflowed = 0
    /// Dropped because the path carries no datagram of that size.
    public internal(set) var tooLarge = 0
    /// Dropped because nobody has that address.
    public internal(set) var unroutable = 0
    /// Dropped by a scenario's filter.
    public internal(set) var filtered = 0
    /// Delivered with changed bytes.
    public internal(set) var corrupted = 0
    /// Delivered twice.
    public internal(set) var duplicated = 0
    /// Held back so that others overtake them.
    public internal(set) var reordered = 0
    /// Sent with an ECN-capable mark.
    public internal(set) var ecnCapable = 0
    /// Marked "congestion experienced".
    public internal(set) var marked = 0
}

/// A network on virtual time, in one thread, whose every accident follows from a seed.
///
/// Each node has a link of its own with two directions; a datagram passes the sender's uplink and then the receiver's
/// downlink. The network calls nobody: ``Simulation`` takes the next event and hands it on.
public final class SimulatedNetwork {
    /// The time in nanoseconds.
    public internal(set) var now: UInt64
    /// When the simulation began.
    public let start: UInt64
    /// What became of the datagrams.
    public internal(set) var statistics = NetworkStatistics()
    /// The hash over everything that was sent.
    public internal(set) var hash = PacketHash()
    /// Says whether a datagram goes on, and may change it. Asked before the sender's link. Copies and losses of the links
    /// come after it.
    public var filter: ((inout SimulatedDatagram) -> Bool)?

    /// Told what happens, one line each.
    var trace: ((String) -> Void)?
    var generator: SeededGenerator
    private var events: Heap<Event> = []
    private var order: UInt64 = 0
    private var routes: [NetworkAddress: (node: SimulatedNode, local: NetworkAddress)] = [:]

    enum Happening {
        /// The datagram has passed the sender's link.
        case arrived(SimulatedDatagram)
        /// The datagram has passed the receiver's link too.
        case delivered(SimulatedDatagram, SimulatedNode, local: NetworkAddress)
        case timer(SimulatedConnection, generation: UInt64)
        case action(() -> Void)
    }

    private struct Event: Comparable {
        var time: UInt64
        var order: UInt64
        var happening: Happening

        static func < (left: Event, right: Event) -> Bool { (left.time, left.order) < (right.time, right.order) }
        static func == (left: Event, right: Event) -> Bool { left.order == right.order }
    }

    init(seed: UInt64, start: UInt64) {
        generator = SeededGenerator(seed: seed)
        self.start = start
        now = start
    }

    /// Time since the beginning.
    public var elapsed: Duration { .nanoseconds(Int64(clamping: now - start)) }

    func schedule(_ happening: Happening, at time: UInt64) {
        order += 1
        events.insert(Event(time: max(time, now), order: order, happening: happening))
    }

    /// The next thing that happens, if it is not after `limit`. Time moves to it.
    func next(limit: UInt64) -> Happening? {
        guard let first = events.min, first.time <= limit else { return nil }
        now = first.time
        return events.popMin()?.happening
    }

    /// Forgets everything that was still to happen, so that nothing is kept alive.
    func clear() {
        events = []
        routes = [:]
        filter = nil
    }

    func tell(_ line: @autoclosure () -> String) {
        if let trace { trace("\(elapsed.secondCount) \(line())") }
    }

    // MARK: addresses

    /// The network sends what is for `address` to a node, which sees it arrive at `local`.
    func route(_ address: NetworkAddress, to node: SimulatedNode, local: NetworkAddress) {
        routes[address] = (node, local)
    }

    func removeRoute(_ address: NetworkAddress) { routes[address] = nil }

    func node(at address: NetworkAddress) -> SimulatedNode? { routes[address]?.node }

    // MARK: datagrams

    /// A node sends a datagram.
    func send(
        _ bytes: UnsafeRawBufferPointer,
        from node: SimulatedNode,
        local: NetworkAddress,
        to: NetworkAddress,
        ecn: UInt8
    ) {
        let from = node.translations[local] ?? local
        statistics.sent += 1
        statistics.bytesSent += bytes.count
        if ecn != 0 { statistics.ecnCapable += 1 }
        hash.add(bytes, time: now, from: from, to: to, ecn: ecn)
        var datagram = SimulatedDatagram(bytes: Array(bytes), from: from, to: to, ecn: ecn)
        tell("\(node.name) sends \(datagram)")
        if let filter, !filter(&datagram) {
            return drop(datagram, "filtered", \.filtered)
        }
        pass(datagram, over: &node.uplink) { [self] datagram, time in schedule(.arrived(datagram), at: time) }
    }

    /// A datagram that has passed the sender's link enters the receiver's.
    func forward(_ datagram: SimulatedDatagram) {
        guard let (node, local) = routes[datagram.to] else {
            return drop(datagram, "no such address", \.unroutable)
        }
        pass(datagram, over: &node.downlink) { [self] datagram, time in
            schedule(.delivered(datagram, node, local: local), at: time)
        }
    }

    private func pass(
        _ original: SimulatedDatagram,
        over link: inout Link,
        deliver: (SimulatedDatagram, UInt64) -> Void
    ) {
        let conditions = link.conditions
        if let hole = conditions.blackhole, hole.swallows(at: now - start) {
            return drop(original, "in a blackhole", \.swallowed)
        }
        if generator.chance(conditions.loss) { return drop(original, "lost", \.lost) }
        if original.bytes.count > conditions.maximumPayload { return drop(original, "too large", \.tooLarge) }
        guard let departure = link.departure(of: original.bytes.count, now: now) else {
            return drop(original, "no room in the queue", \.overflowed)
        }
        var datagram = original
        if generator.chance(conditions.corruption), !datagram.bytes.isEmpty {
            statistics.corrupted += 1
            tell("damaged: \(datagram)")
            for _ in 0..<generator.pick(1...3) {
                let place = generator.pick(0...datagram.bytes.count - 1)
                datagram.bytes[place] ^= UInt8(generator.pick(1...255))
            }
        }
        if conditions.clearsECN { datagram.ecn = 0 }
        if datagram.ecn != 0, generator.chance(conditions.congestionMarking) {
            statistics.marked += 1
            datagram.ecn = 3
        }
        var delay = delay(conditions)
        if generator.chance(conditions.reordering) {
            statistics.reordered += 1
            delay += conditions.reorderingDelay.nanosecondCount
        }
        deliver(datagram, departure + delay)
        if generator.chance(conditions.duplication) {
            statistics.duplicated += 1
            deliver(datagram, departure + self.delay(conditions))
        }
    }

    private func drop(
        _ datagram: SimulatedDatagram,
        _ reason: String,
        _ counter: WritableKeyPath<NetworkStatistics, Int>
    ) {
        statistics[keyPath: counter] += 1
        tell("\(reason): \(datagram)")
    }

    private func delay(_ conditions: LinkConditions) -> UInt64 {
        let jitter = conditions.jitter.nanosecondCount
        let latency = conditions.latency.nanosecondCount
        return jitter == 0 ? latency : latency + generator.next() % jitter
    }
}

/// One direction of a node's link, with the queue in front of it.
struct Link {
    var conditions: LinkConditions
    private var busyUntil: UInt64 = 0

    init(_ conditions: LinkConditions) { self.conditions = conditions }

    /// When a datagram that comes now has left the queue; `nil` if it finds no room.
    mutating func departure(of payload: Int, now: UInt64) -> UInt64? {
        guard let rate = conditions.bitsPerSecond, rate > 0 else { return now }
        let start = max(busyUntil, now)
        let waiting = Double(start - now) * rate / 8e9
        guard waiting <= Double(conditions.queueBytes) else { return nil }
        busyUntil = start + UInt64(Double(payload + LinkConditions.headerBytes) * 8e9 / rate)
        return busyUntil
    }
}
