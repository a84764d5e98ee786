import Multiaddr

/// Which addresses failed not long ago. A part of locked state; bounded.
struct DialBackOff: Sendable {
    private struct Failure: Sendable {
        var count: Int
        var since: ClockMoment
    }

    private static let limit = 4096
    private var failures: [Multiaddr: Failure] = [:]

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

    /// The addresses that are left alone, sorted.
    func resting(base: Duration, longest: Duration) -> [HostSnapshot.BackOff] {
        failures.compactMap { address, failure in
            let rest = Self.pause(after: failure.count, base: base, longest: longest) - failure.since.elapsed()
            guard rest > .zero else { return nil }
            return HostSnapshot.BackOff(address: address, failures: failure.count, rest: rest / .seconds(1))
        }
        .sorted { $0.address.description < $1.address.description }
    }

    mutating func failed(_ address: Multiaddr, at moment: ClockMoment) {
        if failures[address] == nil, failures.count >= Self.limit {
            let oldest = failures.max { $0.value.since.elapsed() < $1.value.since.elapsed() }?.key
            if let oldest { failures[oldest] = nil }
        }
        failures[address] = Failure(count: (failures[address]?.count ?? 0) + 1, since: moment)
    }

    mutating func succeeded(_ address: Multiaddr) {
        failures[address] = nil
    }
}
