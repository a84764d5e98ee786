import Host
import NetStream
import Synchronization
import Testing

/// Which executor handlers run on.
@Suite(.timeLimit(.minutes(1))) struct HandlerPlaceTests {
    /// 1 when the calling task runs where the connection is driven, else 0.
    private static func place(on stream: NetStream) -> UInt8 {
        let transport = stream.connection.taskExecutor?.asUnownedTaskExecutor()
        return withUnsafeCurrentTask { $0?.unownedTaskExecutor } == transport && transport != nil ? 1 : 0
    }

    private static func line(_ text: String) -> [UInt8] {
        [UInt8(text.utf8.count + 1)] + Array(text.utf8) + [10]
    }

    /// Whether the calling task runs on an event loop of a transport.
    private static var isOnTransport: Bool {
        withUnsafeCurrentTask { task in
            guard let executor = task?.unownedTaskExecutor else { return false }
            return executor != globalConcurrentExecutor.asUnownedTaskExecutor()
        }
    }

    private func answer(
        runsOnTransport: Bool,
        hasPredicate: Bool,
        from network: TestNetwork
    ) async throws -> [UInt8] {
        try await network.openHost(NegotiationTests.quiet) { network, host in
            let handler: StreamHandler = { stream in try await stream.write([Self.place(on: stream)]) }
            if hasPredicate {
                await host.handle("/any", matching: { $0.hasPrefix("/where/") }, handler: handler)
            } else {
                await host.handle("/where/1", runsOnTransport: runsOnTransport, handler: handler)
            }
            let peer = try await network.peer(dialing: host)
            let stream = try await peer.openStream()
            let lines = ["/multistream/1.0.0", "/where/1"].map { Self.line($0) }
            let opening = lines.flatMap { $0 }
            try await stream.write(opening)
            var answer: [UInt8] = []
            while let bytes = try await stream.read(upTo: 100) { answer += bytes }
            return Array(answer.dropFirst(opening.count))
        }
    }

    @Test(arguments: TestNetwork.allCases, [true, false])
    func handlersOfTheProgramKeepAwayFromTheTransportUnlessTheyAsk(network: TestNetwork, asks: Bool) async throws {
        let expected: UInt8 = asks && network != .memory ? 1 : 0
        #expect(try await answer(runsOnTransport: asks, hasPredicate: false, from: network) == [expected])
    }

    @Test(arguments: TestNetwork.allCases)
    func predicatesAreAskedAwayFromTheTransportAndKeepNobodyFromIt(_ network: TestNetwork) async throws {
        try await network.openHost(NegotiationTests.quiet) { network, host in
            let asked = Mutex<[Bool]>([])
            let peer = try await network.peer(dialing: host)
            let stream = try await peer.openStream()
            // The stream is accepted, and waits for its protocol, before there is a predicate.
            try await stream.write(Self.line("/multistream/1.0.0"))
            var echo: [UInt8] = []
            while echo.count < 20, let bytes = try await stream.read(upTo: 100) { echo += bytes }
            let handler: StreamHandler = { stream in try await stream.write([Self.place(on: stream)]) }
            await host.handle(
                "/any",
                matching: { name in
                    asked.withLock { $0.append(Self.isOnTransport) }
                    return name.hasPrefix("/any/")
                },
                handler: handler
            )
            await host.handle("/where/1", runsOnTransport: true, handler: handler)
            let (unknown, known) = (Self.line("/any/1"), Self.line("/where/1"))
            try await stream.write(unknown)
            var answer: [UInt8] = []
            while let bytes = try await stream.read(upTo: 100) { answer += bytes }
            #expect(answer == unknown + [0])
            #expect(asked.withLock { $0.count >= 2 && !$0.contains(true) })
            // A handler that asks for it runs on the transport, whatever else there is.
            let other = try await peer.openStream()
            try await other.write(Self.line("/multistream/1.0.0") + known)
            answer = []
            while let bytes = try await other.read(upTo: 100) { answer += bytes }
            #expect(answer == Self.line("/multistream/1.0.0") + known + [network.kind != .memory ? 1 : 0])
        }
    }

    @Test(arguments: TestNetwork.allCases) func handlersOfFamiliesKeepAwayFromTheTransport(
        network: TestNetwork
    ) async throws {
        #expect(try await answer(runsOnTransport: false, hasPredicate: true, from: network) == [0])
    }
}
