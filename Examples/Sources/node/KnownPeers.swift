import ExampleSupport
import Host
import HostPeerStoreSQLite
import PeerID
import ServiceLifecycle
import Synchronization

/// Keeps the peers of a host on disk, and says which ones are safe there.
struct KnownPeers: Service {
    private let onDisk: SQLitePeerStore
    private let told = Told()

    /// Opens the file and says which peers it knows.
    init(path: String, host: BasicHost) async throws {
        onDisk = try await SQLitePeerStore(path: path, of: host.peerStore)
        for peer in await told.new(onDisk.savedPeers) { Output.line("knows \(peer)") }
    }

    func run() async throws {
        try await untilGracefulShutdown {
            try await onDisk.run {
                // They are on disk by now, whatever happens to this process.
                for peer in await told.new(onDisk.savedPeers) { Output.line("saved \(peer)") }
            }
        }
        try await onDisk.close()
    }
}

/// Who was told of already.
private actor Told {
    private var peers: Set<PeerID> = []

    func new(_ all: Set<PeerID>) -> [PeerID] {
        defer { peers = all }
        return all.subtracting(peers).sorted()
    }
}
