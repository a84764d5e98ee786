/// Version Negotiation packets (RFC 9000 §17.2.1).
public enum VersionNegotiation {
    /// The size below which a datagram gets no answer, so that nobody is made to amplify (RFC 9000 §6.1).
    public static let minimumDatagramSize = 1200

    /// Writes the answer to a packet of a version that is not supported. The connection IDs are echoed, swapped.
    ///
    /// The caller limits how often it answers.
    ///
    /// - Parameters:
    ///   - header: The header of the packet to answer.
    ///   - datagram: The whole datagram that it came in.
    ///   - supported: The versions that this side speaks. A reserved version among them exercises the mechanism
    ///     (RFC 9000 §6.3).
    ///   - random: Random bits, of which the first byte takes six.
    /// - Returns: `nil` if the packet must not be answered: the datagram is shorter than ``minimumDatagramSize``, the
    ///   packet has a short header, or is itself a Version Negotiation packet.
    public static func reply(
        to header: PacketHeader,
        datagram: RawSpan,
        supported: [QuicVersion],
        random: UInt8
    ) -> [UInt8]? {
        guard datagram.byteCount >= minimumDatagramSize else { return nil }
        switch header.kind {
        case .short, .versionNegotiation: return nil
        case .initial, .zeroRTT, .handshake, .retry, .unknownVersion: break
        }
        var packet: [UInt8] = []
        packet.reserveCapacity(7 + header.sourceIDRange.count + header.destinationIDRange.count + 4 * supported.count)
        // The long header's bit, and the one that tells QUIC from other protocols on the same port; the rest is free.
        packet.append(0xc0 | random & 0x3f)
        packet.append(contentsOf: [0, 0, 0, 0])
        for range in [header.sourceIDRange, header.destinationIDRange] {
            packet.append(UInt8(truncatingIfNeeded: range.count))
            datagram.extracting(range).withUnsafeBytes { packet.append(contentsOf: $0) }
        }
        for version in supported {
            for shift in [24, 16, 8, 0] { packet.append(UInt8(truncatingIfNeeded: version.rawValue >> shift)) }
        }
        return packet
    }

    /// Reads the versions that a Version Negotiation packet offers.
    ///
    /// - Returns: `nil` if the packet is of another type, or its list is empty or not made of whole versions.
    public static func versions(offeredBy header: PacketHeader, datagram: RawSpan) -> [QuicVersion]? {
        let start = header.sourceIDRange.upperBound
        let length = datagram.byteCount - start
        guard header.kind == .versionNegotiation, length > 0, length % 4 == 0 else { return nil }
        return stride(from: start, to: datagram.byteCount, by: 4).map { offset in
            let number = datagram.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return QuicVersion(rawValue: UInt32(bigEndian: number))
        }
    }
}
