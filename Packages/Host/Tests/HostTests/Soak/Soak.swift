import Host
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization

/// A network of hosts that ask each other things while they are killed and started again.
///
/// Used by a test for some seconds, and by `scripts/soak` for minutes: the folder is part of both.
struct Soak: Sendable {
    /// What is asked for.
    static let kinds = ["abandoned", "echo", "identify", "ping"]

    /// How many hosts there are.
    var hosts = 10
    /// What decides who does what; the order in which the tasks come to their turns is the scheduler's.
    var seed: UInt64
    /// How long it goes on.
    var duration: Duration
    /// How many requests there have to be, even if that takes longer: the machine may be busy with other things.
    var requests = 0
    /// How long a request may take. Longer than every deadline of the host and its transport together: a request that is
    /// not done by then hangs, and that must not happen. It is no failure with a typed error, for the deadline is ours.
    var patience: Duration = .seconds(60)
    /// Peers outside, that die without a word.
    var outsiders: [any SoakOutsider] = []
    /// Where hosts listen.
    var anywhere: Multiaddr
    /// Makes the transport of a host.
    var makeTransport: @Sendable (PrivateKey) throws -> any Transport

    /// Runs it to its end, when every host is closed.
    ///
    /// - Parameter figures: Where it keeps account; what hangs can be seen there meanwhile.
    func run(_ figures: SoakRecord = SoakRecord()) async throws -> SoakFigures {
        let places = (0..<hosts).map { _ in SoakPlace() }
        for place in places { try await start(place, figures) }
        let end = ContinuousClock.now.advanced(by: duration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Half as many at work as there are hosts, so that each has something to do most of the time.
            for worker in 0..<max(2, hosts / 2) {
                group.addTask {
                    var random = SeededGenerator(seed: seed &+ UInt64(worker) &* 7919)
                    while ContinuousClock.now < end || figures.withLock({ $0.total < requests || $0.kills == 0 }) {
                        try await act(places, &random, figures)
                    }
                }
            }
            try await group.waitForAll()
        }
        // Nobody asks for anything any more. All connections stay open but those to processes that are killed once more.
        for outsider in outsiders { _ = try await outsider.killAndStart(dialing: nil) }
        await SoakRest(hosts: places.compactMap(\.host), figures: figures).check()
        for place in places { await place.stop(figures) }
        return figures.withLock { $0 }
    }

    private func start(_ place: SoakPlace, _ figures: SoakRecord) async throws {
        var configuration = HostConfiguration()
        // Those that were killed do not answer: that shall not take long.
        configuration.connections.dialTimeout = .seconds(2)
        configuration.streams.negotiationTimeout = .seconds(5)
        // Fewer than there are: peers are forgotten all the while.
        configuration.rememberedPeers = max(1, hosts / 2)
        let host = try BasicHost(
            identity: place.identity,
            transports: [makeTransport(place.identity)],
            configuration: configuration
        )
        figures.withLock { $0.hosts.note(host) }
        await host.handle(EchoProtocol.name) { stream in
            figures.withLock { figures in
                figures.inboundStreams.note(stream)
                figures.handlers.begun += 1
            }
            defer { figures.withLock { $0.handlers.ended += 1 } }
            try await EchoProtocol.handler(stream)
        }
        let running = Task { try await host.run() }
        try await host.listen(on: anywhere)
        place.set(host, running)
    }

    // MARK: What happens

    private func act(
        _ places: [SoakPlace],
        _ random: inout SeededGenerator,
        _ figures: SoakRecord
    ) async throws {
        guard let from = places.randomElement(using: &random), let host = from.host else { return await Task.yield() }
        if let outsider = outsiders.randomElement(using: &random), Int.random(in: 0..<20, using: &random) == 0 {
            return try await act(host, outsider, &random, figures)
        }
        guard let to = places.randomElement(using: &random), from !== to, let other = to.host,
            let address = other.listenAddresses.first
        else { return await Task.yield() }
        let peer = to.identity.peerID
        switch Int.random(in: 0..<1000, using: &random) {
        case 0..<15:
            // Killed in the middle of whatever it does, and back under the same name elsewhere.
            guard await to.stop(figures, asTask: Bool.random(using: &random)) else { return }
            figures.withLock { $0.kills += 1 }
            try await start(to, figures)
        case 15..<60:
            await host.disconnect(from: peer, code: .garbageCollected)
            figures.withLock { $0.disconnects += 1 }
        default: await ask(host, peer, address, &random, figures)
        }
    }

    /// Something happens to a peer outside: nearly always it is asked for something, as the others are.
    private func act(
        _ host: BasicHost,
        _ outsider: any SoakOutsider,
        _ random: inout SeededGenerator,
        _ figures: SoakRecord
    ) async throws {
        if Int.random(in: 0..<50, using: &random) == 0 {
            guard let next = host.listenAddresses.first else { return }
            if try await outsider.killAndStart(dialing: next) { figures.withLock { $0.silentKills += 1 } }
        } else if let address = outsider.address, let peer = address.peerID {
            await ask(host, peer, address, &random, figures)
        }
    }

    /// Asks a peer for something: a ping, who it is, an echo; or leaves in the middle of one.
    private func ask(
        _ host: BasicHost,
        _ peer: PeerID,
        _ address: Multiaddr,
        _ random: inout SeededGenerator,
        _ figures: SoakRecord
    ) async {
        switch Int.random(in: 0..<940, using: &random) {
        case 0..<50:
            await request("abandoned", figures) {
                try await host.connect(to: address)
                let stream = try await host.newStream(to: peer, protocols: [EchoProtocol.name])
                figures.withLock { $0.streams.note(stream) }
                try await stream.write([1, 2, 3])
                stream.reset(code: .gated)
            }
        case 50..<190:
            await request("ping", figures) {
                try await host.connect(to: address)
                _ = try await host.ping(peer)
            }
        case 190..<240:
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
        let start = ContinuousClock.now
        let id = figures.withLock { $0.running.begin(kind, at: start) }
        var outcome: String?
        var isTyped = true
        do {
            try await withDeadline(patience) { try await body() }
        } catch let error as HostError {
            outcome = "HostError.\(error.code)"
        } catch let error as NetStreamError {
            outcome = "NetStreamError.\(error.code)"
        } catch {
            outcome = "\(error)"
            isTyped = false
        }
        let took = start.duration(to: .now)
        let (failure, isKnown, isHung) = (outcome, isTyped, took >= patience)
        figures.withLock { figures in
            figures.running.end(id)
            figures.requests[kind, default: 0] += 1
            figures.slowest = max(figures.slowest, took)
            if isHung {
                figures.hung += 1
                return figures.surprises.append("\(kind) hung for \(took): \(failure ?? "and was answered then")")
            }
            guard let failure else { return figures.answeredByKind[kind, default: 0] += 1 }
            figures.failures["\(kind) \(failure)", default: 0] += 1
            if !isKnown { figures.surprises.append("\(kind): \(failure)") }
        }
    }
}

/// A peer in another process, which can be killed so that nobody hears of it.
protocol SoakOutsider: Sendable {
    /// Where it listens, with `/p2p`; `nil` while there is none.
    var address: Multiaddr? { get }

    /// Kills it without a word, and starts it again, to dial one of the hosts or nobody. `false` when somebody is at it
    /// already.
    func killAndStart(dialing host: Multiaddr?) async throws -> Bool
}

/// Something that must never happen.
struct SoakFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
