import Multiaddr

/// The lines of multistream-select 1.0: an unsigned varint length, the text, a line feed.
enum Multistream {
    /// The protocol's own name, which both sides send first.
    static let header = Array("/multistream/1.0.0".utf8)
    /// "Not available".
    static let notAvailable = Array("na".utf8)
    /// "Which protocols are there?"
    static let list = Array("ls".utf8)
    /// Most bytes of a line, line feed included, as go-libp2p has it.
    static let lineLimit = 1024
    /// Most lines of one negotiation that are read from a peer.
    static let lineCountLimit = 256

    /// A line as it travels.
    static func frame(_ line: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(line.count + 3)
        Varint.append(UInt64(line.count + 1), to: &bytes)
        bytes += line
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    /// The answer to `ls`: one line that holds the framed names and an empty line.
    static func frameList(_ names: [[UInt8]]) -> [UInt8] {
        frame(names.flatMap(frame))
    }

    /// Why a name cannot be negotiated, if so.
    static func problem(with name: [UInt8]) -> String? {
        if name.isEmpty { return "it is empty" }
        if name.count + 1 > lineLimit { return "it is longer than \(lineLimit - 1) bytes" }
        if name.contains(UInt8(ascii: "\n")) { return "it contains a line feed" }
        if name == notAvailable || name == list || name == header { return "it is a word of multistream-select" }
        return nil
    }
}

/// Cuts incoming bytes into lines.
struct MultistreamFramer: Sendable {
    private var buffer: ArraySlice<UInt8> = []
    private var lines = 0

    /// Takes bytes from the wire.
    mutating func append(_ bytes: [UInt8]) {
        buffer += bytes
    }

    /// What came behind the last line, given back as application data.
    mutating func takeRest() -> [UInt8] {
        defer { buffer = [] }
        return Array(buffer)
    }

    /// The next line without its line feed, or `nil` when it is not complete yet.
    ///
    /// - Throws: ``HostError/Code/negotiationFailed`` for a line that is malformed or too long, as soon as that is known,
    ///   and when there are too many lines.
    mutating func nextLine() throws(HostError) -> [UInt8]? {
        // The limit fits into two bytes of varint.
        guard let first = buffer.first else { return nil }
        var length = Int(first & 0x7f)
        var prefix = 1
        if first & 0x80 != 0 {
            guard let second = buffer.dropFirst().first else { return nil }
            length |= Int(second & 0x7f) << 7
            prefix = 2
            guard second != 0 else { throw Self.failure("its length is not a minimal varint") }
            guard second & 0x80 == 0 else { throw Self.failure("it is longer than \(Multistream.lineLimit) bytes") }
        }
        guard length > 0 else { throw Self.failure("it is empty") }
        guard length <= Multistream.lineLimit else {
            throw Self.failure("it is longer than \(Multistream.lineLimit) bytes")
        }
        guard buffer.count >= prefix + length else { return nil }
        let line = buffer.dropFirst(prefix).prefix(length)
        guard line.last == UInt8(ascii: "\n") else { throw Self.failure("it does not end in a line feed") }
        lines += 1
        guard lines <= Multistream.lineCountLimit else {
            throw HostError(.negotiationFailed, "the peer sent more than \(Multistream.lineCountLimit) lines")
        }
        defer { buffer = buffer.dropFirst(prefix + length) }
        return Array(line.dropLast())
    }

    private static func failure(_ reason: String) -> HostError {
        HostError(.negotiationFailed, "the peer sent a bad multistream line: \(reason); it speaks another protocol")
    }
}
