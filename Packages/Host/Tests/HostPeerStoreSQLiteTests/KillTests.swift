import Dispatch
import Foundation
import GRDB
import Host
import HostPeerStoreSQLite
import Multiaddr
import NetStreamTesting
import PeerID
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What a process does to its peers until it is killed, the same for the same seed: the test knows what was saved by the
/// number of saves alone.
private struct Work {
    enum Change {
        case add(PeerID, [Multiaddr])
        case remove(PeerID)
    }

    /// What this process has told of by now.
    private(set) var peers: [PeerID: Set<Multiaddr>] = [:]
    private var random: SeededGenerator
    private var order: [PeerID] = []

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// The next changes, which are saved together: some new peers, one forgotten, one with a further address.
    mutating func next() throws -> [Change] {
        var changes: [Change] = []
        if order.count > 12 {
            let gone = order.remove(at: Int.random(in: 0..<6, using: &random))
            peers[gone] = nil
            changes.append(.remove(gone))
        }
        if let known = order.last { changes.append(.add(known, try addresses(1))) }
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            let seed = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
            let peer = try PrivateKey.ed25519(seed: seed).peerID
            order.append(peer)
            changes.append(.add(peer, try addresses(Int.random(in: 1...4, using: &random))))
        }
        for case .add(let peer, let addresses) in changes { peers[peer, default: []].formUnion(addresses) }
        return changes
    }

    private mutating func addresses(_ count: Int) throws -> [Multiaddr] {
        try (0..<count).map { _ in
            let port = UInt16.random(in: 1...65535, using: &random)
            return try Multiaddr(
                parsing: "/ip4/192.0.2.\(UInt8.random(in: 0...255, using: &random))/udp/\(port)/quic-v1"
            )
        }
    }
}

/// Processes that are killed while they save.
@Suite(.timeLimit(.minutes(5))) struct KillTests {
    private static let rounds = 50

    /// The process: it saves again and again, says so after each time, and is killed by SIGKILL within 100 ms.
    private static func saveUntilKilled(_ path: String, seed: UInt64, after delay: Int) async throws {
        let store = try newStore(ManualClock())
        let disk = try await SQLitePeerStore(path: path, of: store)
        var work = Work(seed: seed)
        DispatchQueue.global().asyncAfter(deadline: .now() + .microseconds(delay)) { kill(getpid(), SIGKILL) }
        while true {
            for change in try work.next() {
                switch change {
                case .add(let peer, let addresses): store.add(addresses, for: peer)
                case .remove(let peer): store.remove(peer)
                }
            }
            try await disk.save()
            // Not buffered: what was said is said.
            write(STDOUT_FILENO, "+", 1)
        }
    }

    @Test func whatWasSavedIsThereAndWholeWheneverTheProcessIsKilled() async throws {
        let file = try TemporaryFile()
        let start = UInt64.random(in: 0 ... .max)
        print("kill: seed \(start)")
        var (expected, saves, unsaid) = ([PeerID: Set<Multiaddr>](), 0, 0)
        for round in 0..<Self.rounds {
            let seed = start &+ UInt64(round)
            let delay = Int((start >> 8) &+ UInt64(round) * 7919) % 100_000
            let process = await #expect(processExitsWith: .signal(SIGKILL), observing: [\.standardOutputContent]) {
                [path = file.path as String, seed = seed as UInt64, delay = delay as Int] in
                try await Self.saveUntilKilled(path, seed: seed, after: delay)
            }
            let said = try #require(process).standardOutputContent.count { $0 == UInt8(ascii: "+") }
            #expect(try await file.check() == ["ok"], "seed \(start), round \(round)")
            var work = Work(seed: seed)
            for _ in 0..<said { _ = try work.next() }
            let before = expected.merging(work.peers) { $1 }
            _ = try work.next()
            let after = expected.merging(work.peers) { $1 }
            let found = try await peers(in: file)
            // The last save may be on disk before anything is said of it; then all of it is.
            #expect(found == before || found == after, "seed \(start), round \(round), \(said) saves")
            (expected, saves, unsaid) = (found, saves + said, unsaid + (found == before ? 0 : 1))
        }
        print(
            "kill: \(Self.rounds) processes killed after \(saves) saves, \(unsaid) of them between a save and its word"
        )
        #expect(saves > 10, "seed \(start): they are killed before they save anything")
    }

    private func peers(in file: TemporaryFile) async throws -> [PeerID: Set<Multiaddr>] {
        let store = try newStore(ManualClock())
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        #expect(await disk.skippedRows == 0)
        try await disk.close()
        return Dictionary(uniqueKeysWithValues: store.storedPeers().map { ($0.peer, Set($0.addresses)) })
    }
}
