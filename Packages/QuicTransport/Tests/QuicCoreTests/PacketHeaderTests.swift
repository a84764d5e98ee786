import QuicCore
import Testing

@Suite struct PacketHeaderTests {
    @Test func readsEveryVector() throws {
        let vectors = try #require(QuicVectors.all).packetParsing
        #expect(vectors.count >= 15)
        for vector in vectors {
            let datagram = bytes(vector.hex)
            guard let form = vector.form else {
                #expect(throws: QuicError(.malformedPacket, ""), "\(vector.name)") {
                    try parse(datagram, idLength: 8)
                }
                continue
            }
            let header = try parse(datagram, idLength: 8)
            #expect(header.isLong == (form == "long"), "\(vector.name)")
            #expect(header.version?.rawValue == vector.version, "\(vector.name)")
            #expect(header.destinationID?.description == vector.dcid, "\(vector.name)")
            #expect(hex(datagram[header.destinationIDRange]) == vector.dcid, "\(vector.name)")
            #expect(header.sourceID?.description == vector.scid, "\(vector.name)")
            if let token = vector.tokenHex {
                #expect(header.tokenRange.map { hex(datagram[$0]) } == token, "\(vector.name)")
            }
            let kinds: [String: PacketHeader.Kind] = [
                "initial": .initial, "0rtt": .zeroRTT, "handshake": .handshake, "retry": .retry,
            ]
            if let type = vector.type { #expect(header.kind == kinds[type], "\(vector.name)") }
        }
    }

    @Test func readsTheTokenOfARetry() throws {
        let retry = try #require(QuicVectors.all).initialProtection.retry
        let datagram = bytes(retry.packet)
        let header = try parse(datagram, idLength: 8)
        #expect(header.kind == .retry)
        #expect(header.tokenRange.map { hex(datagram[$0]) } == retry.token)
        #expect(header.sourceID?.description == retry.sourceConnectionId)
    }

    @Test func readsTheTypesOfVersion2() throws {
        let kinds: [PacketHeader.Kind] = [.retry, .initial, .zeroRTT, .handshake]
        for (type, kind) in kinds.enumerated() {
            let datagram = [0xc0 | UInt8(type) << 4] + bytes("6b3343cf0001aa00") + [UInt8](repeating: 0, count: 20)
            let header = try parse(datagram, idLength: 8)
            #expect(header.kind == kind)
            #expect(header.version == .v2)
        }
    }

    @Test func treatsVersionZeroAsVersionNegotiation() throws {
        let datagram = bytes("8000000000010201030000000 1".filter { $0 != " " })
        let header = try parse(datagram, idLength: 8)
        #expect(header.kind == .versionNegotiation)
        #expect(offered(header, datagram) == [.v1])
    }

    @Test func findsTheEndOfACoalescedPacket() throws {
        let first = bytes("e000000001088394c8f03e51570808c101020304050607") + [0x04, 1, 2, 3, 4]
        let datagram = first + [0x40, 1, 2, 3]
        let header = try parse(datagram, idLength: 0)
        #expect(header.end == first.count)
    }

    @Test func takesLongIDsOfUnknownVersions() throws {
        let id = [UInt8](repeating: 7, count: 255)
        let datagram = bytes("801a2a3a4a") + [255] + id + [21] + id.prefix(21)
        let header = try parse(datagram, idLength: 8)
        #expect(header.kind == .unknownVersion)
        #expect(header.destinationID == nil)
        #expect(header.destinationIDRange.count == 255)
        #expect(header.sourceIDRange.count == 21)
    }

    @Test func saysThatAnEmptyDatagramIsAnError() {
        #expect(throws: QuicError(.malformedPacket, "")) {
            try parse([UInt8](), idLength: 8)
        }
        #expect(throws: QuicError(.malformedPacket, "")) {
            try PacketHeader(parsing: UnsafeRawBufferPointer(start: nil, count: 0), shortHeaderIDLength: 0)
        }
    }

    @Test func refusesEveryTruncationOfAnInitial() throws {
        let vector = try #require(QuicVectors.all).packetParsing.first { $0.name == "Initial with token" }
        let datagram = bytes(try #require(vector).hex)
        _ = try parse(datagram, idLength: 8)
        let whole = try parse(datagram, idLength: 8).end
        for length in 0..<whole {
            #expect(throws: QuicError(.malformedPacket, "")) {
                try parse(Array(datagram[..<length]), idLength: 8)
            }
        }
    }

    @Test func survivesRandomBytes() throws {
        for seed in propertySeeds() {
            var generator = SeededGenerator(seed: seed)
            for _ in 0..<20_000 {
                var datagram = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                if Bool.random(using: &generator), datagram.count > 5 {
                    datagram.replaceSubrange(1..<5, with: [0, 0, 0, 1])
                    datagram[5] &= 0x0f
                }
                guard let header = try? parse(datagram, idLength: 8) else {
                    continue
                }
                let whole = 0...datagram.count
                #expect(whole.contains(header.end), "seed \(seed)")
                for range in [header.destinationIDRange, header.sourceIDRange, header.tokenRange ?? 0..<0] {
                    #expect(whole.contains(range.upperBound), "seed \(seed)")
                }
                if let id = header.destinationID {
                    #expect(id.bytes == Array(datagram[header.destinationIDRange]), "seed \(seed)")
                }
            }
        }
    }
}

@Suite struct VersionNegotiationTests {
    private func datagram(size: Int, version: String = "1a2a3a4a", first: UInt8 = 0xc0) -> [UInt8] {
        let head = [first] + bytes(version + "088394c8f03e51570808c101020304050607")
        return head + [UInt8](repeating: 0, count: size - head.count)
    }

    @Test func writesTheVectorsAnswer() throws {
        let vector = try #require(QuicVectors.all).versionNegotiation.first { $0.hexWithFirstByteF0 != nil }
        let datagram = datagram(size: 1200)
        let header = try parse(datagram, idLength: 8)
        let reply = negotiate(header, datagram, supported: [.v1], random: 0xf0)
        #expect(reply.map { hex($0) } == vector?.hexWithFirstByteF0)
    }

    @Test func echoesIDsOfAnyLengthSwapped() throws {
        let destination = [UInt8](repeating: 1, count: 200)
        let source = [UInt8](repeating: 2, count: 30)
        let datagram = bytes("801a2a3a4a") + [200] + destination + [30] + source + [UInt8](repeating: 0, count: 1000)
        let header = try parse(datagram, idLength: 8)
        let reply = try #require(
            negotiate(header, datagram, supported: [.v1, .v2], random: 0)
        )
        #expect(reply.count <= datagram.count)
        let answer = try parse(reply, idLength: 8)
        #expect(Array(reply[answer.destinationIDRange]) == source)
        #expect(Array(reply[answer.sourceIDRange]) == destination)
        #expect(offered(answer, reply) == [.v1, .v2])
    }

    @Test func neverAnswersSmallDatagrams() throws {
        let datagram = datagram(size: 1199)
        let header = try parse(datagram, idLength: 8)
        #expect(
            negotiate(header, datagram, supported: [.v1], random: 0) == nil
        )
    }

    @Test(arguments: ["00000000", "short"]) func neverAnswersWhatIsNoConnectionAttempt(version: String) throws {
        let datagram =
            version == "short"
            ? [0x40] + [UInt8](repeating: 1, count: 1300) : datagram(size: 1300, version: version)
        let header = try parse(datagram, idLength: 8)
        #expect(
            negotiate(header, datagram, supported: [.v1], random: 0) == nil
        )
    }

    @Test func refusesAListThatIsEmptyOrCut() throws {
        for tail in ["", "000000", "0000000100"] {
            let datagram = bytes("800000000000" + "00" + tail)
            let header = try parse(datagram, idLength: 8)
            #expect(offered(header, datagram) == nil)
        }
    }
}
