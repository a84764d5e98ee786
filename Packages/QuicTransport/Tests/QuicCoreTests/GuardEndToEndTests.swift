import CGnuTLS
import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The library's connection behind a core: the second thing its C half consists of, after the two words of the reference
/// that GnuTLS's session points to.
private func libraryConnection(_ address: UnsafeRawPointer) -> OpaquePointer? {
    address.load(fromByteOffset: 2 * MemoryLayout<UnsafeRawPointer>.size, as: OpaquePointer?.self)
}

private typealias Submit =
    @convention(c) (OpaquePointer?, Int32, UnsafePointer<UInt8>?, Int) -> Int32

/// `ngtcp2_conn_submit_crypto_data`, with which a peer puts any TLS bytes into CRYPTO frames.
private func submit(_ connection: OpaquePointer?, level: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
    guard let symbol = dlsym(nil, "ngtcp2_conn_submit_crypto_data") else { return -1 }
    let function = unsafeBitCast(symbol, to: Submit.self)
    return function(connection, level, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
}

/// Takes the transport parameters out of a ClientHello, by renaming their extension (RFC 9001 §8.2: 0x39).
private func withoutTransportParameters(_ hello: UnsafeRawBufferPointer) -> [UInt8] {
    var bytes = Array(hello)
    func length(at offset: Int) -> Int { Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }
    // Header, version, random; then the session ID, the cipher suites and the compression methods.
    var at = 4 + 2 + 32
    at += 1 + Int(bytes[at])
    at += 2 + length(at: at)
    at += 1 + Int(bytes[at])
    at += 2
    while at + 4 <= bytes.count {
        if length(at: at) == 0x39 { bytes.replaceSubrange(at..<at + 2, with: [0xfa, 0xce]) }
        at += 4 + length(at: at + 2)
    }
    return bytes
}

/// Guards (b) and (c): what a peer can do with TLS that would make the library abort, or worse.
@Suite(.timeLimit(.minutes(1))) struct GuardEndToEndTests {
    private let client: CoreNode
    private let server: CoreNode
    private let network: CoreNetwork

    init() throws {
        client = try CoreNode(port: 1001, seed: 91, accepts: false)
        server = try CoreNode(port: 1002, seed: 92)
        network = CoreNetwork(client, server)
    }

    private func connect() throws -> (dialed: ConnectionCore, accepted: ConnectionCore) {
        let dialed = try network.dial(from: client, to: server, expecting: nil)
        let node = client
        network.run(seconds: 5) { node.events(of: dialed).isConfirmed }
        let accepted = try #require(server.opened.first)
        network.run(seconds: 1)
        return (dialed, accepted)
    }

    /// Sends TLS bytes in a 1-RTT packet.
    private func sendTLS(_ bytes: [UInt8], from core: ConnectionCore, of node: CoreNode) throws {
        let pointer = try #require(core.pointer)
        let status = bytes.withUnsafeBytes { submit(libraryConnection(UnsafeRawPointer(pointer)), level: 2, $0) }
        #expect(status == 0)
        network.service(core, of: node)
        network.run(seconds: 1)
    }

    private struct Witness {
        weak var core: ConnectionCore?
    }

    /// Attacks a connection. Afterwards everything is as before: nobody is left, and others connect.
    private func attacking(_ attack: (_ dialed: ConnectionCore, _ accepted: ConnectionCore) throws -> Void) throws {
        func connectAndAttack() throws -> [Witness] {
            let (dialed, accepted) = try connect()
            try attack(dialed, accepted)
            return [Witness(core: dialed), Witness(core: accepted)]
        }
        let ends = try connectAndAttack()
        try expectHealth()
        #expect(ends.allSatisfy { $0.core == nil }, "their memory is not given back")
    }

    private func expectHealth() throws {
        server.opened = []
        network.run(seconds: 30)
        #expect(server.endpoint.connectionCount == 0)
        #expect(server.endpoint.registry.isEmpty)
        let fresh = try CoreNode(port: 1009, seed: 99, accepts: false)
        network.nodes[fresh.address] = fresh
        let core = try network.dial(from: fresh, to: server, expecting: server.identity.peerID)
        #expect(network.run(seconds: 5) { fresh.events(of: core).isConfirmed })
    }

    /// A KeyUpdate, a CertificateRequest, a ticket as only servers send it, and no TLS at all.
    @Test(arguments: [[24, 0, 0, 1, 0], [13, 0, 0, 1, 0], [4, 0, 0, 1, 0], [0xff, 0xff, 0xff, 0xff]] as [[UInt8]])
    func aServerRefusesTLSAfterTheHandshake(message: [UInt8]) throws {
        try attacking { dialed, accepted in
            try sendTLS(message, from: dialed, of: client)
            let end = try #require(server.events(of: accepted).termination)
            #expect(!end.byPeer)
            #expect(end.code == 0x10a)
            #expect(client.events(of: dialed).termination?.code == 0x10a)
        }
    }

    @Test(arguments: [[24, 0, 0, 1, 0], [13, 0, 0, 1, 0], [0xff, 0xff, 0xff, 0xff]] as [[UInt8]])
    func aClientRefusesTLSOtherThanTicketsAfterTheHandshake(message: [UInt8]) throws {
        try attacking { dialed, accepted in
            try sendTLS(message, from: accepted, of: server)
            let end = try #require(client.events(of: dialed).termination)
            #expect(!end.byPeer)
            #expect(end.code == 0x10a)
        }
    }

    @Test func aClientSkipsTicketsUpToALimit() throws {
        try attacking { dialed, accepted in
            // Whole ones, one in pieces, and one with the next one's header.
            let ticket: [UInt8] = [4, 0, 0, 5, 1, 2, 3, 4, 5]
            try sendTLS(ticket + ticket, from: accepted, of: server)
            try sendTLS(Array(ticket[..<3]), from: accepted, of: server)
            try sendTLS(Array(ticket[3...]) + [4, 0], from: accepted, of: server)
            try sendTLS(Array(ticket[2...]), from: accepted, of: server)
            #expect(dialed.isOpen)
            // Tickets without end are an attack on memory elsewhere and on patience here.
            let large: [UInt8] = [4, 0, 0x75, 0x30] + [UInt8](repeating: 0, count: 30_000)
            for _ in 0..<3 where dialed.isOpen {
                try sendTLS(large, from: accepted, of: server)
                network.run(seconds: 2)
            }
            #expect(client.events(of: dialed).termination?.byPeer == false)
            #expect(client.events(of: dialed).termination?.code == 0x10a)
        }
    }

    @Test func aClientWithoutTransportParametersIsRefused() throws {
        let ends = try dialWithoutTransportParameters()
        try expectHealth()
        #expect(ends.allSatisfy { $0.core == nil }, "their memory is not given back")
    }

    private func dialWithoutTransportParameters() throws -> [Witness] {
        let core = try client.endpoint.connect(
            to: server.address,
            from: client.address,
            expecting: nil,
            now: network.now
        )
        // GnuTLS hands its messages to this function, and this one to the library.
        gnutls_handshake_set_read_function(core.session?.handle) { session, level, type, data, length in
            guard type != GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC, let reference = gnutls_session_get_ptr(session) else {
                return 0
            }
            let connection = libraryConnection(UnsafeRawPointer(reference))
            let message = UnsafeRawBufferPointer(start: data, count: length)
            guard type == GNUTLS_HANDSHAKE_CLIENT_HELLO else {
                return submit(connection, level: level == GNUTLS_ENCRYPTION_LEVEL_HANDSHAKE ? 1 : 0, message)
            }
            return withoutTransportParameters(message).withUnsafeBytes { submit(connection, level: 0, $0) }
        }
        network.service(core, of: client)
        network.run(seconds: 2)
        let accepted = try #require(server.opened.first)
        let end = try #require(server.events(of: accepted).termination)
        #expect(!end.byPeer)
        // missing_extension
        #expect(end.code == 0x16d)
        #expect(server.events(of: accepted).handshake == nil)
        return [Witness(core: core), Witness(core: accepted)]
    }
}
