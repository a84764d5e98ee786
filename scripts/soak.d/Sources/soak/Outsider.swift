import CSoakProcess
import Host
import Multiaddr
import PeerID
import QuicTransport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a process does that was started to be killed: it says where it listens, echoes, and pings whoever it is told to dial
/// until that ends. It ends with its standard input.
func runOutsider(seed: String) async throws {
    let identity = try PrivateKey.ed25519(seed: bytes(hexadecimal: seed))
    try await withHost(
        identity: identity,
        transports: [SoakCommand.quicTransport(identity)],
        listen: ["/ip4/127.0.0.1/udp/0/quic-v1"]
    ) { host in
        await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
        print(host.listenAddresses[0])
        fflush(nil)
        await withTaskGroup(of: Void.self) { group in
            while let line = await readInput() {
                guard let address = try? Multiaddr(parsing: line), let peer = address.peerID else { continue }
                group.addTask {
                    _ = try? await host.connect(to: address)
                    while (try? await host.ping(peer)) != nil {}
                }
            }
            group.cancelAll()
        }
    }
}

/// The next line of standard input; `nil` at its end.
private func readInput() async -> String? {
    await onAnotherThread {
        var line = [CChar](repeating: 0, count: 512)
        let count = soak_read_line(STDIN_FILENO, &line, line.count, Int32.max)
        guard count >= 0 else { return nil }
        return String(decoding: line.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

private func bytes(hexadecimal text: String) -> [UInt8] {
    let digits = Array(text.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).compactMap { index in
        UInt8(String(decoding: digits[index...(index + 1)], as: UTF8.self), radix: 16)
    }
}
