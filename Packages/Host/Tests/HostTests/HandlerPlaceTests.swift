import Host
import NetStream
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
        let expected: UInt8 = asks && network == .quic ? 1 : 0
        #expect(try await answer(runsOnTransport: asks, hasPredicate: false, from: network) == [expected])
    }

    @Test(arguments: TestNetwork.allCases) func handlersOfFamiliesKeepAwayFromTheTransport(
        network: TestNetwork
    ) async throws {
        #expect(try await answer(runsOnTransport: false, hasPredicate: true, from: network) == [0])
    }
}
