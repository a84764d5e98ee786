import ExampleSupport
import Host
import Multiaddr
import NetStream
import PeerID

/// Dials `address` and uses everything the peer there may have.
///
/// - Parameters:
///   - large: How many bytes go each way in `large`; a quarter of it in `perf`.
///   - hasRecord: Whether the peer's identify has a signed record.
///   - identify: What this host was told to say about itself.
func tryFeatures(
    of address: Multiaddr,
    from host: BasicHost,
    large: Int,
    hasRecord: Bool,
    identify configured: HostConfiguration.Identify
) async -> Results {
    var results = Results()
    guard let peer = address.peerID else {
        _ = await results.attempt(.handshake) { throw ExampleError("the address names no peer: /p2p/ID is missing") }
        return results
    }
    let isConnected = await results.attempt(.handshake) {
        let clock = ContinuousClock()
        let started = clock.now
        let connected = try await host.connect(to: address)
        try expect(connected == peer, "dialed \(peer), connected to \(connected)")
        return milliseconds(started.duration(to: clock.now)) + " ms"
    }
    guard isConnected else { return results }
    _ = await results.attempt(.identify) { try await identify(peer, from: host, hasRecord: hasRecord) }
    _ = await results.attempt(.ping) { try await ping(peer, from: host) }
    _ = await results.attempt(.echo) { try await echo(Array("the quick brown fox\n".utf8), to: peer, from: host) }
    _ = await results.attempt(.bigEcho) { try await echo(randomBytes(1 << 20), to: peer, from: host) }
    _ = await results.attempt(.halfClose) { try await halfClose(randomBytes(1 << 16), to: peer, from: host) }
    _ = await results.attempt(.streams) { try await hundredStreams(to: peer, from: host) }
    _ = await results.attempt(.reset) { try await resetWithCode(to: peer, from: host) }
    _ = await results.attempt(.resetBack) { try await resetByListener(peer, from: host) }
    _ = await results.attempt(.large) { try await largeEcho(randomBytes(large), to: peer, from: host) }
    _ = await results.attempt(.perf) { try await perf(large / 4, with: peer, from: host) }
    _ = await results.attempt(.agent) { try await agent(as: configured, of: peer, from: host) }
    _ = await results.attempt(.wrongID) { try await refuseWrongPeer(at: address, from: host) }
    return results
}

private func identify(_ peer: PeerID, from host: BasicHost, hasRecord: Bool) async throws -> String {
    let info = try await host.identify(peer)
    try expect(info.peer == peer && info.publicKey.peerID == peer, "identify names \(info.peer), not \(peer)")
    for needed in [IdentifyProtocol.name, PingProtocol.name] {
        try expect(info.protocols.contains(needed), "identify does not list \(needed): \(info.protocols)")
    }
    let observed = info.observedAddress?.description
    try expect(observed != nil, "identify carries no observed address")
    // The host has opened the envelope, and takes no record of another peer.
    let carries = "identify carries \(info.record == nil ? "no" : "a") signed record"
    try expect(
        (info.record != nil) == hasRecord,
        "\(carries), but the peer is known to \(hasRecord ? "have one" : "have none")"
    )
    return [
        info.agentVersion, "protocol version \(info.protocolVersion)", "\(info.protocols.count) protocols",
        "observed \(observed ?? "")", info.record == nil ? "no signed record" : "signed record",
    ].joined(separator: ", ")
}

private func ping(_ peer: PeerID, from host: BasicHost) async throws -> String {
    // A stream for each: rust-libp2p is slow to answer a second ping on the same one.
    var times: [String] = []
    for _ in 1...3 { times.append(milliseconds(try await host.ping(peer))) }
    return "\(times.count) × 32 bytes, ms: " + times.joined(separator: ", ")
}

/// Sends and reads at once, and ends the stream when everything is back.
private func echo(_ bytes: [UInt8], to peer: PeerID, from host: BasicHost) async throws -> String {
    let stream = try await host.newStream(to: peer, protocols: [EchoProtocol.name])
    do {
        async let sent: Void = stream.write(bytes)
        let received = try await stream.readExactly(bytes.count)
        try await sent
        try expect(received == bytes, "other bytes came back than were sent")
        try await stream.close()
    } catch {
        stream.reset()
        throw error
    }
    return "\(bytes.count) bytes, all as sent"
}

/// Sends everything and the end of the stream before it reads the first byte.
private func halfClose(_ bytes: [UInt8], to peer: PeerID, from host: BasicHost) async throws -> String {
    let stream = try await host.newStream(to: peer, protocols: [EchoProtocol.name])
    do {
        try await stream.write(bytes)
        try await stream.closeWrite()
        let received = try await stream.readToEnd(limit: bytes.count + 1)
        try expect(received == bytes, "\(received.count) bytes of \(bytes.count) came back after our end of stream")
        try await stream.close()
    } catch {
        stream.reset()
        throw error
    }
    return "\(bytes.count) bytes read after our FIN, then the peer's"
}

/// Expects somebody else at the address: connecting has to fail, and to say whom it expected and whom it found.
private func refuseWrongPeer(at address: Multiaddr, from host: BasicHost) async throws -> String {
    let other = PrivateKey.ed25519().peerID
    do {
        _ = try await host.connect(to: address.withPeerID(other))
    } catch {
        let names = [other.description, address.peerID?.description ?? ""]
        try expect(names.allSatisfy("\(error)".contains), "refused, but without naming both peers: \(error)")
        return "refused, both peers named"
    }
    throw ExampleError("connected although \(other) was expected")
}

/// Bytes that nobody can guess; the number has to be a multiple of 8.
func randomBytes(_ count: Int) -> [UInt8] {
    var random = SystemRandomNumberGenerator()
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        let bytes = UnsafeMutableRawBufferPointer(buffer)
        for offset in stride(from: 0, to: count, by: 8) {
            bytes.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
        }
        initialized = count
    }
}

private func milliseconds(_ duration: Duration) -> String { fixed(duration / .milliseconds(1), 2) }
