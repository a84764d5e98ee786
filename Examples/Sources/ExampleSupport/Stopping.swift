import Dispatch
public import Logging
import ServiceLifecycle
import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Runs `body` until it ends by itself or SIGINT or SIGTERM arrives. A signal cancels `body`, which
/// closes what it opened on its way out; being stopped so is success, not failure.
///
/// Closing is waited for, but not longer than 1.8 seconds: then the process ends all the same, so
/// that whoever sent the signal never waits more than two.
public func stoppingOnSignals(logger: Logger, _ body: @escaping @Sendable () async throws -> Void) async throws {
    let service = SignalledService(logger: logger, body: body)
    let group = ServiceGroup(
        configuration: .init(
            services: [
                .init(
                    service: service,
                    successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup
                )
            ],
            gracefulShutdownSignals: [.sigint, .sigterm],
            logger: Logger(label: "lifecycle", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    )
    let limit = ClosingLimit()
    defer { limit.cancel() }
    try await group.run()
}

/// Ends the process 1.8 seconds after the first SIGINT or SIGTERM, on a thread of its own: also when
/// every thread that runs tasks is stuck, for instance in writing to a pipe that nobody reads.
private struct ClosingLimit {
    private let sources: [any DispatchSourceSignal]

    init() {
        let queue = DispatchQueue(label: "closing-limit")
        sources = [SIGINT, SIGTERM].map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                queue.asyncAfter(deadline: .now() + 1.8) {
                    if Output.isReady(STDERR_FILENO) { complain("closing took too long, leaving without it") }
                    // Not exit(): that waits for the locks of streams somebody may be writing to.
                    _exit(0)
                }
            }
            source.activate()
            return source
        }
    }

    func cancel() {
        for source in sources { source.cancel() }
    }
}

private struct SignalledService: Service {
    let logger: Logger
    let body: @Sendable () async throws -> Void

    func run() async throws {
        let logger = logger
        do {
            try await withGracefulShutdownHandler {
                try await cancelWhenGracefulShutdown(body)
            } onGracefulShutdown: {
                logger.info("stopping: closing connections")
            }
        } catch  where Task.isShuttingDownGracefully {
            // What a cancelled body throws is the way it stopped, not a failure.
            logger.debug("stopped", metadata: ["how": "\(error)"])
        }
    }
}
