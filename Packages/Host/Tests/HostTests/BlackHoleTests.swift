import Multiaddr
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Networks that swallow what is sent.
@Suite(.timeLimit(.minutes(1))) struct BlackHoleTests {
    @Test func aHundredDialsWithFewerThanFiveSuccessesBlock() {
        for (successes, expected) in [(4, BlackHoleState.blocked), (5, .allowed)] {
            var counter = BlackHoleCounter(window: 100, minimum: 5)
            for index in 0..<100 {
                #expect(counter.state == .probing && counter.request() == .probing)
                counter.record(index < successes)
            }
            #expect(counter.state == expected)
        }
    }

    @Test func oneDialInAHundredIsMadeWhileBlocked() {
        var counter = BlackHoleCounter(window: 100, minimum: 5)
        for _ in 0..<100 {
            _ = counter.request()
            counter.record(false)
        }
        for round in 0..<3 {
            for _ in 0..<99 { #expect(counter.request() == .blocked) }
            #expect(counter.request() == .probing, "round \(round)")
            counter.record(false)
        }
        // One probe that succeeds: everything begins anew.
        counter.record(true)
        #expect(counter.state == .probing && counter.request() == .probing)
        for _ in 0..<99 { counter.record(true) }
        #expect(counter.state == .probing)
        counter.record(true)
        #expect(counter.state == .allowed)
    }

    @Test(arguments: [7, 8, 9] as [UInt64]) func onlyTheLastResultsCount(seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var counter = BlackHoleCounter(window: 10, minimum: 3)
        var results: [Bool] = []
        var seen: Set<BlackHoleState> = []
        for _ in 0..<5000 {
            let succeeded = Int.random(in: 0..<10, using: &random) < 3
            counter.record(succeeded)
            if seen.contains(.blocked), results.isEmpty == false, results.count >= 10,
                results.suffix(10).filter({ $0 }).count < 3, succeeded
            {
                results = []
            } else {
                results.append(succeeded)
            }
            let last = results.suffix(10)
            let expected: BlackHoleState =
                last.count < 10 ? .probing : last.filter { $0 }.count >= 3 ? .allowed : .blocked
            #expect(counter.state == expected)
            seen.insert(counter.state)
        }
        #expect(seen == [.probing, .allowed, .blocked])
    }

    @Test func onlyPublicAddressesAreHeldBack() {
        var detector = BlackHoleDetector(BlackHoleDetection(window: 2, minimumSuccesses: 1))
        let (four, six): (Multiaddr, Multiaddr) = ("/ip4/192.0.2.1/udp/1/quic-v1", "/ip6/2001:db8::1/udp/1/quic-v1")
        let near: [Multiaddr] = [
            "/ip4/127.0.0.1/udp/1/quic-v1", "/ip4/10.0.0.1/udp/1/quic-v1", "/ip6/::1/udp/1/quic-v1", "/memory/1",
            "/dns4/example.org/udp/1/quic-v1",
        ]
        for address in near { for _ in 0..<9 { #expect(detector.record(address, succeeded: false).isEmpty) } }
        #expect(detector.states == [.udp: .probing, .ipv6: .probing])
        // IPv6 fails, IPv4 works: UDP as such is no black hole.
        #expect(detector.record(four, succeeded: true).isEmpty)
        _ = detector.record(six, succeeded: false)
        #expect(detector.states == [.udp: .allowed, .ipv6: .probing])
        _ = detector.record(four, succeeded: true)
        let changes = detector.record(six, succeeded: false)
        #expect(changes.count == 1 && changes.first?.0 == .ipv6 && changes.first?.1 == .blocked)
        #expect(detector.filter([six, four] + near) == [four] + near)
        // The second is the probe.
        #expect(detector.filter([six, four]) == [six, four])
        #expect(BlackHoleDetector(nil).states.isEmpty)
    }

    /// So few dials are enough.
    private func soon(_ configuration: inout HostConfiguration) {
        configuration.connections.blackHoleDetection = BlackHoleDetection(window: 4, minimumSuccesses: 1)
    }

    @Test(arguments: TestNetwork.allCases)
    func aHostStopsDiallingIntoABlackHole(_ network: TestNetwork) async throws {
        let far = try (1...9).map { try Multiaddr(parsing: "/ip4/192.0.2.\($0)/udp/1/quic-v1") }
        let near: Multiaddr = "/ip4/10.0.0.1/udp/1/quic-v1"
        try await withStuckHost(on: network, failing: Set(far + [near]), soon) { host, transport, _ in
            var events = host.events().makeAsyncIterator()
            func dial(_ address: Multiaddr) async -> HostError.Code? {
                let peer = PrivateKey.ed25519().peerID
                host.peerStore.add([address], for: peer)
                return await code { try await host.connect(to: peer) }
            }
            for index in 0..<4 { #expect(await dial(far[index]) == .dialFailed) }
            while let event = await events.next() {
                guard case .blackHole(let kind, let state) = event else { continue }
                #expect(kind == .udp && state == .blocked)
                break
            }
            for index in 4..<7 { #expect(await dial(far[index]) == .blackHole) }
            #expect(transport.dials == Array(far[0..<4]))
            // What is near, and what a caller names, is dialled; and one in four.
            #expect(await dial(near) == .dialFailed)
            #expect(await dial(far[7]) == .dialFailed)
            #expect(await code { try await host.connect(to: far[8]) } == .dialFailed)
            #expect(transport.dials == Array(far[0..<4]) + [near, far[7], far[8]])
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func whatACallerNamesIsDialledIntoABlackHoleButLast(_ network: TestNetwork) async throws {
        let failed = try (1...4).map { try Multiaddr(parsing: "/ip6/2001:db8::\($0)/udp/1/quic-v1") }
        let doubtful: Multiaddr = "/ip6/2001:db8::9/udp/1/quic-v1"
        let stored: Multiaddr = "/ip6/2001:db8::8/udp/1/quic-v1"
        let (named, near): (Multiaddr, Multiaddr) = ("/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/10.0.0.2/udp/1/quic-v1")
        let all = Set(failed + [doubtful, stored, named, near])
        try await withStuckHost(on: network, failing: all, soon) { host, transport, _ in
            for address in failed { _ = await code { try await host.connect(to: address) } }
            #expect(host.snapshot().blackHoles["ipv6"] == .blocked)
            let peer = PrivateKey.ed25519().peerID
            host.peerStore.add([stored, near], for: peer)
            let failure = await code { try await host.connect(to: peer, addresses: [doubtful, named]) }
            #expect(failure == .dialFailed)
            // What was only known from before and is doubtful is left out.
            #expect(transport.dials == failed + [named, near, doubtful])
        }
    }

    @Test func settingsThatMakeNoSenseAreRefused() async {
        var configuration = HostConfiguration()
        configuration.connections.blackHoleDetection = BlackHoleDetection(window: 4, minimumSuccesses: 5)
        let made = await code {
            _ = try BasicHost(identity: .ed25519(), transports: [], configuration: configuration)
        }
        #expect(made == .invalidConfiguration)
    }
}
