import Foundation
import Host
import HostPeerStoreSQLite
import Multiaddr
import NetStreamTesting
import PeerID
import Testing

/// One store at a time has a file.
@Suite(.timeLimit(.minutes(1))) struct FileLockTests {
    private let file: TemporaryFile
    private let clock = ManualClock()

    init() throws { file = try TemporaryFile() }

    @Test func aSecondStoreIsRefusedUntilTheFirstIsClosed() async throws {
        let peer = PrivateKey.ed25519().peerID
        let first = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: first)
        let link = file.path + "-other"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file.path)
        for path in [file.path, link] {
            let error = await #expect(throws: HostError.self) {
                _ = try await SQLitePeerStore(path: path, of: newStore(clock))
            }
            #expect(error?.code == .storageFailed)
            #expect(error?.message.contains("in use by this process") == true)
            #expect(error?.message.contains("give each a file of its own") == true)
        }
        // The first one is as well as before.
        first.add(["/memory/1"], for: peer)
        try await disk.save()
        try await disk.close()

        let second = try newStore(clock)
        let again = try await SQLitePeerStore(path: file.path, of: second)
        #expect(second.addresses(of: peer) == ["/memory/1"])
        try await again.close()
    }

    @Test func aStoreThatIsLetGoLetsGoOfTheFile() async throws {
        for _ in 0..<2 {
            _ = try await SQLitePeerStore(path: file.path, of: newStore(clock))
        }
    }

    @Test func aFileThatCannotBeOpenedIsNotKeptLocked() async throws {
        try Data("this is no database, however long it may be, and it never was one".utf8)
            .write(to: URL(fileURLWithPath: file.path))
        for _ in 0..<2 {
            let error = await #expect(throws: HostError.self) {
                _ = try await SQLitePeerStore(path: file.path, of: newStore(clock))
            }
            #expect(error?.message.contains("damaged") == true)
        }
    }
}
