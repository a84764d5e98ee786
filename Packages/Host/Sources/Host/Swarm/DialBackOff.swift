import Multiaddr

/// Which addresses failed not long ago. A part of locked state; bounded, and nothing is searched for: the calls take the
/// same time on average, however many addresses there are.
struct DialBackOff: Sendable {
    private struct Failure: Sendable {
        var count: Int
        var since: ClockMoment
        /// Which failure it was, of all that there were.
        var number: UInt64
    }

    static let limit = 4096
    private var failures: [Multiaddr: Failure] = [:]
    /// The addresses in the order of their failures, with the numbers of these.
    private var order = TouchOrder<Multiaddr>()
    private var number: UInt64 = 0

    /// How many addresses failed.
    var count: Int { failures.count }

    /// How many words there are about their order, those that do not hold any more included.
    var words: Int { order.count }

    /// Whether an address is to be left alone for now.
    func isResting(_ address: Multiaddr, base: Duration, longest: Duration) -> Bool {
        guard let failure = failures[address] else { return false }
        return failure.since.elapsed() < Self.pause(after: failure.count, base: base, longest: longest)
    }

    /// `base` and n² seconds, at most `longest`.
    static func pause(after count: Int, base: Duration, longest: Duration) -> Duration {
        let steps = min(count, 1000)
        return min(base + .seconds(steps * steps), longest)
    }

    /// The addresses that are left alone, sorted. Takes its time: call it on a copy, outside the lock.
    func resting(base: Duration, longest: Duration) -> [HostSnapshot.BackOff] {
        failures.compactMap { address, failure -> (text: String, entry: HostSnapshot.BackOff)? in
            let rest = Self.pause(after: failure.count, base: base, longest: longest) - failure.since.elapsed()
            guard rest > .zero else { return nil }
            let entry = HostSnapshot.BackOff(address: address, failures: failure.count, rest: rest / .seconds(1))
            return (address.description, entry)
        }
        .sorted { $0.text < $1.text }
        .map(\.entry)
    }

    mutating func failed(_ address: Multiaddr, at moment: ClockMoment) {
        number += 1
        let count = failures[address]?.count ?? 0
        failures[address] = Failure(count: count + 1, since: moment, number: number)
        order.append(address, number)
        if failures.count > Self.limit,
            let oldest = order.removeOldest(where: { [failures] in failures[$0]?.number == $1 })
        {
            failures[oldest] = nil
        }
        // Half of the words at least do not hold any more then, so that each failure pays for two.
        if order.count > 2 * Self.limit { order.removeAll { [failures] in failures[$0]?.number == $1 } }
    }

    mutating func succeeded(_ address: Multiaddr) {
        failures[address] = nil
    }
}
