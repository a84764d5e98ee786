import Libp2pTLS
import Multiaddr
import NetStream
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

/// What a name stands for, without asking anybody.
private struct FixedResolver: NameResolver {
    struct Failure: Error {}

    enum Answer: Sendable {
        case addresses([[UInt8]])
        case failure
        case silence
    }

    var answer: Answer

    func ip4Addresses(of name: String) async throws -> [[UInt8]] {
        switch answer {
        case .addresses(let addresses): return addresses
        case .failure: throw Failure()
        case .silence:
            // Until the task is cancelled.
            let (silence, continuation) = AsyncStream<Void>.makeStream()
            for await _ in silence {}
            continuation.finish()
            throw CancellationError()
        }
    }

    func ip6Addresses(of name: String) async throws -> [[UInt8]] { [] }
    func textRecords(of name: String) async throws -> [[UInt8]] { [] }
}

/// Dials of names, and what failed dials say about how far they came.
@Suite(.timeLimit(.minutes(1))) struct DialFailureTests {
    private let loopback: Multiaddr = "/ip4/127.0.0.1/udp/0/quic-v1"

    private func makeClient(
        _ answer: FixedResolver.Answer? = nil,
        deadline: Duration = .seconds(10),
        _ change: (inout QuicConfiguration) -> Void = { _ in }
    ) throws -> QuicTransport {
        var configuration = QuicConfiguration.defaults
        configuration.timeouts.dial = deadline
        change(&configuration)
        guard let answer else { return try QuicTransport(identity: .ed25519(), configuration: configuration) }
        let resolver = FixedResolver(answer: answer)
        return try QuicTransport(identity: .ed25519(), configuration: configuration, resolver: resolver)
    }

    private func failure(of client: QuicTransport, dialing address: Multiaddr) async throws -> QuicError {
        let error = await #expect(throws: QuicError.self) { try await client.dialQuic(address) }
        await client.close()
        return try #require(error)
    }

    private func named(_ listener: QuicListener, _ name: String = "node.test") throws -> Multiaddr {
        let port = try #require(listener.addresses[0].quicEndpoint?.port)
        return try Multiaddr(parsing: "/dns4/\(name)/udp/\(port)/quic-v1")
    }

    // MARK: names

    @Test(arguments: [true, false]) func aNameIsDialed(bySystem: Bool) async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        // The system knows localhost from a file.
        let client = try makeClient(bySystem ? nil : .addresses([[127, 0, 0, 1]]))
        let address = try named(listener, bySystem ? "localhost" : "node.test").withPeerID(server.localPeer)
        async let incoming = listener.acceptConnection()
        let dialed = try await client.dialQuic(address)
        #expect(dialed.remotePeer == server.localPeer)
        #expect(dialed.remoteAddress == listener.addresses[0])
        #expect(try await incoming.remotePeer == client.localPeer)
        await client.close()
        await server.close()
    }

    @Test func anAddressThatIsDeadDoesNotTakeTheTimeOfTheOthers() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let client = try makeClient(.addresses([[127, 0, 0, 2], [127, 0, 0, 1]]), deadline: .seconds(20))
        let dialed = try await client.dialQuic(try named(listener))
        #expect(dialed.remotePeer == server.localPeer)
        await client.close()
        await server.close()
    }

    @Test func whenAllAddressesOfANameFailEachIsNamed() throws {
        let failures = [
            (NetworkAddress.ip4(192, 0, 2, 1, port: 1), QuicError(.timeout, "silence").during(.contact)),
            (NetworkAddress.ip4(192, 0, 2, 2, port: 1), QuicError(.handshake, "no").during(.handshake)),
        ]
        let error = QuicError.dialFailed("/dns4/node.test/udp/1/quic-v1", failures.map { (remote: $0, error: $1) })
        #expect(error.code == .handshake)
        #expect(error.dialStage == .handshake)
        for part in ["192.0.2.1:1: silence (nothing has come back)", "192.0.2.2:1: no", "2 addresses", "node.test"] {
            #expect(error.message.contains(part))
        }
        let alone = QuicError.dialFailed("/dns4/node.test/udp/1/quic-v1", [(failures[0].0, failures[0].1)])
        #expect(alone.message == "silence")
    }

    @Test func aNameOfWhichNoAddressAnswersEndsInTheDeadline() async throws {
        let client = try makeClient(.addresses([[127, 0, 0, 2], [127, 0, 0, 3]]), deadline: .milliseconds(400))
        let error = try await failure(of: client, dialing: "/dns4/node.test/udp/9/quic-v1")
        #expect(error.code == .timeout)
        #expect(error.dialStage == .contact)
    }

    @Test func aNameThatCannotBeResolvedIsSaidSo() async throws {
        for answer in [FixedResolver.Answer.failure, .addresses([])] {
            let error = try await failure(of: makeClient(answer), dialing: "/dns4/node.test/udp/1/quic-v1")
            #expect(error.code == .resolution)
            #expect(error.dialStage == .resolution)
            #expect(error.message.contains("node.test"))
        }
        let slow = try makeClient(.silence, deadline: .milliseconds(100))
        let error = try await failure(of: slow, dialing: "/dns4/node.test/udp/1/quic-v1")
        #expect(error.code == .timeout)
        #expect(error.dialStage == .resolution)
    }

    // MARK: stages

    @Test func aDialThatNobodyAnswersSaysSo() async throws {
        let error = try await failure(
            of: makeClient(deadline: .milliseconds(200)),
            dialing: "/ip4/127.0.0.2/udp/9/quic-v1"
        )
        #expect(error.code == .timeout)
        #expect(error.dialStage == .contact)
        #expect(error.description.contains("nothing has come back"))
    }

    @Test func aLimitOfThisSideIsMetBeforeAnythingIsSent() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let client = try makeClient { $0.endpoint.maxConnections = 1 }
        _ = try await client.dialQuic(listener.addresses[0])
        let error = try await failure(of: client, dialing: listener.addresses[0])
        #expect(error.code == .connectionLimit)
        #expect(error.dialStage == .preparation)
        await server.close()
    }

    @Test func anotherPeerIsMetInTheHandshake() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let stranger = PrivateKey.ed25519().peerID
        let error = try await failure(of: makeClient(), dialing: listener.addresses[0].withPeerID(stranger))
        #expect(error.code == .peerVerification)
        #expect(error.dialStage == .handshake)
        await server.close()
    }

    @Test func aServerThatRefusesThisSideDoesSoAfterTheHandshake() async throws {
        var tls = TLSConfiguration.defaults
        tls.allowedKeyTypes = [.secp256k1]
        let server = try QuicTransport(identity: .secp256k1(), tls: tls)
        let listener = try await server.listenQuic(on: loopback)
        let error = try await failure(of: makeClient(), dialing: listener.addresses[0])
        #expect(error.isByPeer)
        #expect(error.dialStage == .confirmation)
        await server.close()
    }

    // MARK: the time

    /// Deadlines about as long as a handshake takes: whichever comes first, nobody is left with a connection that nobody has.
    @Test func aDeadlineThatComesWithTheConnectionLeavesNoneBehind() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let accepted = Task {
            var all: [QuicConnection] = []
            while let connection = try? await listener.acceptConnection() { all.append(connection) }
            return all
        }
        var clients: [QuicTransport] = []
        for tenths in stride(from: 1, through: 100, by: 4) {
            let client = try makeClient(deadline: .microseconds(100 * tenths))
            clients.append(client)
            do throws(QuicError) {
                let connection = try await client.dialQuic(listener.addresses[0])
                #expect(!connection.isClosed)
                await connection.close(code: .none, reason: "")
            } catch {
                #expect(error.code == .timeout)
                #expect(error.dialStage != nil)
            }
        }
        await listener.close()
        // It is the clients that close them, and they live on until then.
        for connection in await accepted.value {
            let reason = await connection.waitUntilClosed()
            #expect(reason.byPeer && reason.isApplication)
        }
        for client in clients { await client.close() }
        await server.close()
    }

    /// There the loop is asked directly, without a turn of its own for each question.
    @Test func aTaskOnTheLoopDialsAndCloses() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let client = try makeClient()
        let first = try await client.dialQuic(listener.addresses[0])
        await withTaskExecutorPreference(first.taskExecutor) {
            for _ in 0..<3 {
                do {
                    let connection = try await client.dialQuic(listener.addresses[0])
                    #expect(!connection.isClosed)
                    await connection.close(code: .none, reason: "enough")
                    #expect(connection.isClosed)
                } catch { Issue.record(error) }
            }
            let nobody = await #expect(throws: QuicError.self) {
                try await client.dialQuic("/ip4/127.0.0.1/udp/0/quic-v1")
            }
            #expect(nobody?.code == .dial)
            let dial = Task(executorPreference: first.taskExecutor) { try await client.dialQuic(listener.addresses[0]) }
            dial.cancel()
            let cancelled = await #expect(throws: QuicError.self) { try await dial.value }
            #expect(cancelled?.code == .cancelled)
        }
        #expect(!first.isClosed)
        await client.close()
        await server.close()
    }

    // MARK: before any dial

    @Test func theSameAddressCannotBeListenedOnTwice() async throws {
        for loops in [1, 2] {
            let transport = try makeClient { $0.udp.loops = loops }
            let listener = try await transport.listenQuic(on: loopback)
            let error = await #expect(throws: QuicError.self) {
                try await transport.listenQuic(on: listener.addresses[0])
            }
            #expect(error?.code == .listen)
            #expect(error?.message.contains("in use") == true)
            #expect(listener.isListening)
            await transport.close()
        }
    }

    @Test func aCertificateThatCannotBeMadeIsSaidSo() {
        let cases: [(TLSError, QuicError.Code, String?)] = [
            (TLSError(.certificateGeneration, "no key"), .certificate, nil),
            (TLSError(.gnutls, "no memory"), .certificate, nil),
            (TLSError(.invalidConfiguration, "validityDays"), .invalidConfiguration, "tls"),
            (TLSError(.keyLog, "no such directory"), .invalidConfiguration, "tls.keyLogFile"),
        ]
        for (cause, code, field) in cases {
            let error = QuicError.tlsSetup(cause)
            #expect(error.code == code)
            #expect(error.field == field)
            #expect((error.cause as? TLSError)?.code == cause.code)
        }
        var tls = TLSConfiguration.defaults
        tls.keyLogFile = "/nowhere/at/all/keys"
        let error = #expect(throws: QuicError.self) { try QuicTransport(identity: .ed25519(), tls: tls) }
        #expect(error?.field == "tls.keyLogFile")
    }
}
