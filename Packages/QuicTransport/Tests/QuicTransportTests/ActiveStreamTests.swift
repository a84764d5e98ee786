import NetStream
import QuicCore
import Testing

@testable import QuicTransport

/// What a connection tells of its streams.
@Suite(.timeLimit(.minutes(1))) struct ActiveStreamTests {
    @Test func everyStreamThatIsNotOverIsListedByItsProtocol() async throws {
        try await QuicPair.with { pair in
            #expect(await pair.dialed.activeStreams() == [])
            let ping = NetStream(try await pair.dialed.openQuicStream(), connection: pair.dialed, protocolID: "/ping")
            let unknown = try await pair.dialed.openQuicStream()
            let answered = NetStream(try await pair.accepted.openQuicStream(), connection: pair.accepted)
            try ping.establish()
            try answered.establish()
            try await answered.write([1, 2, 3])
            let taken = try await pair.dialed.acceptQuicStream()
            #expect(try await taken.read() == [1, 2, 3])
            taken.note(protocolID: "/ping")

            let all = await pair.dialed.activeStreams()
            #expect(all.map(\.id) == [ping.id, answered.id, unknown.id].sorted())
            #expect(all.map(\.direction) == all.map { $0.id == answered.id ? .inbound : .outbound })
            let spoken = await pair.dialed.activeStreams(speaking: "/ping")
            #expect(spoken.map(\.id) == [ping.id, answered.id])
            #expect(spoken.last?.statistics.bytesReceived == 3)
            #expect(unknown.protocolID == nil)

            ping.protocolID = "/echo"
            #expect(await pair.dialed.activeStreams(speaking: "/echo").map(\.id) == [ping.id])
            // The tag is this side's: the other one learns of it from its own layers.
            #expect(await pair.accepted.activeStreams(speaking: "/ping") == [])
        }
    }

    @Test func aStreamThatNobodyHasAcceptedIsListedAndOneThatIsOverIsNot() async throws {
        try await QuicPair.with { pair in
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([1])
            // The answer to a ping that was sent behind the byte says that it is there.
            _ = try await pair.dialed.ping()
            #expect(await pair.accepted.activeStreams().map(\.direction) == [.inbound])
            let other = try await pair.accepted.acceptQuicStream()
            try await stream.closeWrite()
            try await other.closeWrite()
            #expect(try await other.read() == [1])
            #expect(try await other.read() == nil)
            #expect(try await stream.read() == nil)
            // An end is acknowledged with what is sent behind it, on both sides.
            while await !pair.dialed.activeStreams().isEmpty { _ = try await pair.accepted.ping() }
            while await !pair.accepted.activeStreams().isEmpty { _ = try await pair.dialed.ping() }
            await pair.dialed.close(code: .none, reason: "")
            #expect(await pair.dialed.activeStreams() == [])
        }
    }
}
