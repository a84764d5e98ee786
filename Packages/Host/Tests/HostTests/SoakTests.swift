import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// The small form of `scripts/soak`: ten hosts, some seconds.
@Suite(.timeLimit(.minutes(2))) struct SoakTests {
    @Test(arguments: TestNetwork.allCases)
    func hostsThatComeAndGoAnswerOrFailWithATypedErrorAndLeaveNothing(_ kind: TestNetwork) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("soak: ten hosts on \(kind), seed \(seed)")
        try await kind.open { network in
            let soak = Soak(seed: seed, duration: .seconds(2), requests: 300, anywhere: network.anywhere) {
                try network.makeTransport($0)
            }
            let figures = try await withDeadline(.seconds(60)) { try await soak.run() }
            #expect(figures.surprises.isEmpty, "seed \(seed)")
            #expect(figures.answered > figures.total / 2, "seed \(seed): \(figures.failures)")
            #expect(figures.answeredByKind.keys.sorted() == Soak.kinds, "seed \(seed): \(figures.failures)")
            #expect(figures.rest?.streams == 0 && figures.rest?.pings ?? 0 > 0, "seed \(seed)")
            #expect(figures.hosts.ended == figures.hosts.made && figures.handlers.underWay == 0, "seed \(seed)")
            #expect(figures.answered + figures.failed == figures.total)
            // What still runs to its end lets go of the rest.
            try await withDeadline(.seconds(10)) {
                while figures.hosts.alive + figures.streams.alive + figures.inboundStreams.alive > 0 {
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
        }
    }

    /// The soak's own deadline is nobody's answer: what it ends has hung.
    @Test(arguments: TestNetwork.allCases)
    func whatOutlivesTheSoaksPatienceHangsAndIsNoFailure(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let soak = Soak(
                seed: 1,
                duration: .milliseconds(1),
                requests: 20,
                patience: .zero,
                anywhere: network.anywhere
            ) {
                try network.makeTransport($0)
            }
            let figures = try await withDeadline(.seconds(60)) { try await soak.run() }
            #expect(figures.hung == figures.total && figures.total >= 20)
            #expect(figures.failed == 0 && figures.answered == 0)
            #expect(
                figures.surprises.count == figures.hung,
                "\(figures.surprises.filter { !$0.contains(" hung for ") })"
            )
        }
    }
}
