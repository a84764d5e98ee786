import Host
import PeerID
import Synchronization

/// Where a host lives, and lives again.
final class SoakPlace: Sendable {
    let identity = PrivateKey.ed25519()
    private let current = Mutex<(host: BasicHost, running: Task<Void, any Error>)?>(nil)

    var host: BasicHost? { current.withLock { $0?.host } }

    func set(_ host: BasicHost, _ running: Task<Void, any Error>) {
        current.withLock { $0 = (host, running) }
    }

    /// Closes the host, or cancels the task that it runs in, and waits until nothing of it runs any more. `false` when
    /// there is none.
    @discardableResult
    func stop(_ figures: SoakRecord, asTask: Bool = false) async -> Bool {
        let taken = current.withLock { current in
            defer { current = nil }
            return current
        }
        guard let (host, running) = taken else { return false }
        if asTask { running.cancel() } else { await host.close() }
        let result = await running.result
        let left = host.connections().count
        figures.withLock { figures in
            figures.hosts.ended += 1
            if case .failure(let error) = result { figures.surprises.append("run() ended with \(error)") }
            if left > 0 { figures.surprises.append("\(left) connections are left in a closed host") }
        }
        // Whoever asked it for something when it was killed still holds a stream for as long as it takes to hear of it.
        let end = ContinuousClock.now.advanced(by: .seconds(10))
        while !host.snapshot().usage.isEmpty, ContinuousClock.now < end { await Task.yield() }
        let usage = host.snapshot().usage
        if !usage.isEmpty {
            let text = usage.map { "\($0.scope): \($0.usage)" }.joined(separator: "; ")
            figures.withLock { $0.surprises.append("a closed host still has in use: \(text)") }
        }
        return true
    }
}
