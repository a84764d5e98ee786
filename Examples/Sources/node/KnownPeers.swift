import ExampleSupport
import Host
import HostPeerStoreSQLite
import Logging
import PeerID
import ServiceLifecycle

/// Keeps the peers of a host on disk, and says which ones are safe there.
struct KnownPeers: Service {
    private let onDisk: SQLitePeerStore
    private let report: NodeReport
    private let told = Told()

    /// Opens the file and says which peers it knows.
    init(path: String, host: BasicHost, report: NodeReport, logger: Logger) async throws {
        self.report = report
        onDisk = try await SQLitePeerStore(path: path, of: host.peerStore, logger: logger)
        for peer in await told.new(onDisk.savedPeers) { try report.tell("knows", peer: "\(peer)") }
    }

    func run() async throws {
        // A save that fails meanwhile is logged and tried again. Only the last one, after the host has ended, may throw.
        try await cancelWhenGracefulShutdown {
            try await onDisk.run {
                // They are on disk by now, whatever happens to this process. Nobody may want to know.
                for peer in await told.new(onDisk.savedPeers) { try? report.tell("saved", peer: "\(peer)") }
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
