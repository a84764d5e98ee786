import Host
import Multiaddr
import NetStream
import PeerID
import Synchronization

/// A network of hosts that ask each other things while they are killed and started again.
///
/// Used by a test for some seconds, and by `scripts/soak` for minutes: the folder is part of both.
struct Soak: Sendable {
    /// How many hosts there are.
    var hosts = 10
    /// What decides who does what; the order in which the tasks come to their turns is the scheduler's.
    var seed: UInt64
    /// How long it goes on.
    var duration: Duration
    /// How many requests there have to be, even if that takes longer: the machine may be busy with other things.
    var requests = 0
    /// Where hosts listen.
    var anywhere: Multiaddr
    /// Makes the transport of a host.
    var makeTransport: @Sendable (PrivateKey) throws -> any Transport

    /// Runs it to its end, when every host is closed.
    func run() async throws -> SoakFigures {
        let figures = SoakRecord()
        let places = (0..<hosts).map { _ in SoakPlace() }
        for place in places { try await start(place, figures) }
        let end = ContinuousClock.now.advanced(by: duration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Half as many at work as there are hosts, so that each has something to do most of the time.
            for worker in 0..<max(2, hosts / 2) {
                group.addTask {
                    var random = SoakGenerator(seed: seed &+ UInt64(worker) &* 7919)
                    while ContinuousClock.now < end || figures.withLock({ $0.total < requests || $0.kills == 0 }) {
                        try await act(places, &random, figures)
                    }
                }
            }
            try await group.waitForAll()
        }
        for place in places { await place.stop(figures) }
        return figures.withLock { $0 }
    }

    private func start(_ place: SoakPlace, _ figures: SoakRecord) async throws {
        var configuration = HostConfiguration()
        // Those that were killed do not answer: that shall not take long.
        configuration.connections.dialTimeout = .seconds(2)
        configuration.streams.negotiationTimeout = .seconds(5)
        let host = try BasicHost(
            identity: place.identity,
            transports: [makeTransport(place.identity)],
            configuration: configuration
        )
        figures.withLock { $0.started.append(WeakHost(host)) }
        await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
        let running = Task { try await host.run() }
        try await host.listen(on: anywhere)
        place.set(host, running)
    }

    // MARK: What happens

    private func act(
        _ places: [SoakPlace],
        _ random: inout SoakGenerator,
        _ figures: SoakRecord
    ) async throws {
        guard let from = places.randomElement(using: &random), let to = places.randomElement(using: &random),
            from !== to, let host = from.host, let other = to.host, let address = other.listenAddresses.first
        else { return await Task.yield() }
        let peer = to.identity.peerID
        switch Int.random(in: 0..<1000, using: &random) {
        case 0..<15:
            // Killed in the middle of whatever it does, and back under the same name elsewhere.
            guard await to.stop(figures) else { return }
            figures.withLock { $0.kills += 1 }
            try await start(to, figures)
        case 15..<60:
            await host.disconnect(from: peer, code: .garbageCollected)
            figures.withLock { $0.disconnects += 1 }
        case 60..<110:
            await request("abandoned", figures) {
                try await host.connect(to: address)
                let stream = try await host.newStream(to: peer, protocols: [EchoProtocol.name])
                figures.withLock { $0.streams.note(stream) }
                try await stream.write([1, 2, 3])
                stream.reset(code: .gated)
            }
        case 110..<250:
            await request("ping", figures) {
                try await host.connect(to: address)
                _ = try await host.ping(peer)
            }
        case 250..<300:
            await request("identify", figures) {
                try await host.connect(to: address)
                let info = try await host.identify(peer)
                guard info.peer == peer else { throw SoakFailure("identify told of another peer") }
            }
        default:
            let size = Int.random(in: 1...(1 << Int.random(in: 1...16, using: &random)), using: &random)
            let body = [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: size)
            await request("echo", figures) {
                try await host.connect(to: address)
                let stream = try await host.newStream(to: peer, protocols: [EchoProtocol.name])
                figures.withLock { $0.streams.note(stream) }
                do {
                    async let writing: Void = {
                        try await stream.write(body)
                        try await stream.closeWrite()
                    }()
                    let answer = try await stream.readToEnd(limit: size)
                    try await writing
                    guard answer == body else { throw SoakFailure("an echo of \(size) bytes came back wrong") }
                } catch {
                    stream.reset()
                    throw error
                }
            }
        }
    }

    /// Does it within a deadline, and counts what came of it.
    private func request(
        _ kind: String,
        _ figures: SoakRecord,
        _ body: @escaping @Sendable () async throws -> Void
    ) async {
        var outcome: String?
        var isTyped = true
        do {
            try await withDeadline(.seconds(20)) { try await body() }
        } catch let error as HostError {
            outcome = "HostError.\(error.code)"
        } catch let error as NetStreamError {
            outcome = "NetStreamError.\(error.code)"
        } catch {
            outcome = "\(error)"
            isTyped = false
        }
        let (failure, isKnown) = (outcome, isTyped)
        figures.withLock { figures in
            figures.requests[kind, default: 0] += 1
            guard let failure else { return figures.answered += 1 }
            figures.failures["\(kind) \(failure)", default: 0] += 1
            if !isKnown { figures.surprises.append("\(kind): \(failure)") }
        }
    }
}

/// Something that must never happen.
struct SoakFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Where a host lives, and lives again.
final class SoakPlace: Sendable {
    let identity = PrivateKey.ed25519()
    private let current = Mutex<(host: BasicHost, running: Task<Void, any Error>)?>(nil)

    var host: BasicHost? { current.withLock { $0?.host } }

    func set(_ host: BasicHost, _ running: Task<Void, any Error>) {
        current.withLock { $0 = (host, running) }
    }

    /// Closes the host and waits until nothing of it runs any more. `false` when there is none.
    @discardableResult
    func stop(_ figures: SoakRecord) async -> Bool {
        let taken = current.withLock { current in
            defer { current = nil }
            return current
        }
        guard let (host, running) = taken else { return false }
        await host.close()
        let result = await running.result
        let left = host.connections().count
        figures.withLock { figures in
            if case .failure(let error) = result { figures.surprises.append("run() ended with \(error)") }
            if left > 0 { figures.surprises.append("\(left) connections are left in a closed host") }
        }
        return true
    }
}
