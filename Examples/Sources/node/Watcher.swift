import ExampleSupport
import Host
import Multiaddr
import ServiceLifecycle
import Synchronization

/// Tells what happens to the host, and connects it to those that were named.
final class Watcher: Service {
    private let host: BasicHost
    private let events: HostEvents
    private let targets: [Multiaddr]
    private let report: NodeReport
    /// Those of the targets that could not be reached.
    private let unreached = Mutex<[Multiaddr]>([])

    /// Asks for the events, before anything starts: none is missed.
    init(host: BasicHost, targets: [Multiaddr], report: NodeReport) {
        self.host = host
        self.targets = targets
        self.report = report
        events = host.events()
    }

    func run() async throws {
        try await untilGracefulShutdown { [self] in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for target in targets { group.addTask { await self.connect(to: target) } }
                for await event in events {
                    switch event {
                    case .listening(let address): try report.tell("listening", address: "\(address)")
                    case .connected(let connection): try report.tell("connected", peer: "\(connection.peer)")
                    case .disconnected(let connection, _): try report.tell("disconnected", peer: "\(connection.peer)")
                    default: break
                    }
                }
                try await group.waitForAll()
            }
            // The events end with the host, which is shut down first; a service stays until its own turn.
            try await gracefulShutdown()
        }
    }

    /// Throws when somebody who was named could not be reached; who and why was told when it happened.
    func requireAllReached() throws {
        let unreached = unreached.withLock { $0 }
        guard !unreached.isEmpty else { return }
        let peers = unreached.count == 1 ? "a peer" : "\(unreached.count) peers"
        throw ExampleError("\(peers) of --connect could not be reached (see above)")
    }

    private func connect(to target: Multiaddr) async {
        do {
            try await host.connect(to: target)
        } catch let error as HostError where [.closed, .cancelled].contains(error.code) {
            // The node ends before it came to anything.
        } catch {
            unreached.withLock { $0.append(target) }
            // Most errors name the address themselves.
            let (name, reason) = ("\(target)", describe(error))
            let told = "\(name) cannot be reached: "
            complain(reason.hasPrefix(told) ? reason : told + reason)
        }
    }
}

/// Runs `body` until it ends, or the group shuts down, which cancels it. What it throws then is the way it stopped.
func untilGracefulShutdown(_ body: @escaping @Sendable () async throws -> Void) async throws {
    do {
        try await cancelWhenGracefulShutdown(body)
    } catch  where Task.isShuttingDownGracefully {}
}
