import Testing

@testable import QuicCore

@Suite struct ServerConnectionIDsTests {
    private let key = (0..<32).map { UInt8($0) }

    @Test func namesItsOwnerToThoseWhoHaveTheKey() throws {
        for owner in [UInt8(0), 1, 7, 255] {
            for length in 8...20 {
                let ids = try ServerConnectionIDs(staticKey: key, owner: owner, length: length)
                let reader = try ServerConnectionIDs(staticKey: key, owner: 99, length: length)
                var generator = SeededGenerator(seed: UInt64(owner))
                let id = ids.make(using: &generator)
                #expect(id.count == length)
                #expect(reader.owner(of: id) == owner)
            }
        }
    }

    @Test func hidesItsOwnerFromOthers() throws {
        let ids = try ServerConnectionIDs(staticKey: key, owner: 3)
        var generator = SeededGenerator(seed: 5)
        let made = (0..<4096).map { _ in ids.make(using: &generator) }
        #expect(Set(made).count == made.count)
        // The first byte, which carries the owner, takes all values about equally often.
        var counts = [Int](repeating: 0, count: 256)
        for id in made { counts[Int(id.bytes[0])] += 1 }
        #expect(counts.allSatisfy { (1...48).contains($0) })
        let other = try ServerConnectionIDs(staticKey: key.reversed(), owner: 3)
        let guesses = made.filter { other.owner(of: $0) == 3 }.count
        #expect(guesses < 64)
    }

    @Test func namesNoOwnerForIDsOfAnotherLength() throws {
        let ids = try ServerConnectionIDs(staticKey: key, owner: 3)
        #expect(ids.owner(of: .empty) == nil)
        #expect(ids.owner(of: try #require(ConnectionID([1, 2, 3, 4]))) == nil)
    }

    @Test func derivesTheSameResetTokenAfterARestart() throws {
        let id = try #require(ConnectionID([1, 2, 3, 4, 5, 6, 7, 8]))
        let first = try ServerConnectionIDs(staticKey: key, owner: 0).resetToken(for: id)
        let second = try ServerConnectionIDs(staticKey: key, owner: 1).resetToken(for: id)
        #expect(first == second)
        let otherKey = try ServerConnectionIDs(staticKey: key.reversed(), owner: 0).resetToken(for: id)
        #expect(first != otherKey)
        let other = try #require(ConnectionID([1, 2, 3, 4, 5, 6, 7, 9]))
        #expect(first != (try ServerConnectionIDs(staticKey: key, owner: 0).resetToken(for: other)))
    }

    @Test func sealsTokensOfClientsWithAKeyOfTheirOwn() throws {
        let first = try ServerConnectionIDs(staticKey: key, owner: 0).tokenKey
        #expect(first.count == 32)
        #expect(first == (try ServerConnectionIDs(staticKey: key, owner: 1).tokenKey))
        #expect(first != key)
        #expect(first != (try ServerConnectionIDs(staticKey: key.reversed(), owner: 0).tokenKey))
        // The reset token of an ID, which is sent in the clear, tells nothing of it.
        let id = try #require(ConnectionID(Array("libp2p quic address ".utf8.prefix(20))))
        let reset = try ServerConnectionIDs(staticKey: key, owner: 0).resetToken(for: id)
        #expect(reset.bytes != Array(first[..<16]))
        #expect(first != (try ServerConnectionIDs(staticKey: key, purpose: "socket", owner: 0).tokenKey))
    }

    @Test func refusesShortKeysAndBadLengths() {
        #expect(throws: QuicError(.invalidConfiguration, "")) {
            try ServerConnectionIDs(staticKey: Array(key.dropLast()), owner: 0)
        }
        for length in [0, 7, 21] {
            #expect(throws: QuicError(.invalidConfiguration, "")) {
                try ServerConnectionIDs(staticKey: key, owner: 0, length: length)
            }
        }
    }

    @Test func sipHashGivesThePublishedValue() {
        // The test value of appendix A of the paper.
        let hash = SipHash(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
        #expect(hash((0..<15).map { UInt8($0) }) == 0xa129_ca61_49be_45e5)
    }
}

@Suite struct StatelessResetTests {
    private func header(of datagram: [UInt8]) throws -> PacketHeader {
        try parse(datagram, idLength: 8)
    }

    @Test func isShorterThanWhatItAnswers() throws {
        let header = try header(of: [0x40] + [UInt8](repeating: 0, count: 60))
        for length in 0...1500 {
            guard let answer = StatelessReset.length(answering: header, datagramLength: length) else {
                #expect(length <= StatelessReset.minimumLength)
                continue
            }
            #expect(answer < length)
            #expect((StatelessReset.minimumLength...StatelessReset.usualLength).contains(answer))
        }
    }

    @Test func neverAnswersLongHeaders() throws {
        let long = try header(of: bytes("e000000001088394c8f03e51570808c10102030405060700"))
        #expect(StatelessReset.length(answering: long, datagramLength: 1200) == nil)
    }

    @Test func endsInItsTokenAndLooksLikeAShortHeader() throws {
        var generator = SeededGenerator(seed: 1)
        let token = try #require((0..<16).map { UInt8($0) }.withUnsafeBytes { StatelessResetToken($0) })
        for length in [0, 21, 30, 43] {
            let packet = StatelessReset.packet(token: token, length: length, using: &generator)
            #expect(packet.count == max(21, length))
            #expect(packet[0] >> 6 == 1)
            #expect(packet.withUnsafeBytes { StatelessReset.candidateToken(in: $0) } == token)
        }
        #expect([UInt8](repeating: 0x40, count: 20).withUnsafeBytes { StatelessReset.candidateToken(in: $0) } == nil)
        #expect([UInt8](repeating: 0xc0, count: 40).withUnsafeBytes { StatelessReset.candidateToken(in: $0) } == nil)
    }
}
