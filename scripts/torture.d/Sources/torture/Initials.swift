import Multiaddr
import QuicCore
import QuicTransport
import TortureSupport

/// First packets of clients, each genuine and with a connection ID of its own.
struct Initials {
    var packets: [[UInt8]]

    subscript(index: Int) -> [UInt8] { packets[index % packets.count] }

    /// Has clients dial a socket that never answers, and keeps what they send.
    static func capture(_ count: Int, _ setting: Setting) async throws -> Initials {
        let loops = setting.loops
        let socket = try RawSocket()
        var configuration = setting.patient
        configuration.endpoint.maxConnections = count + 16
        let client = try loops.dialer(configuration)
        let address = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/\(socket.port)/quic-v1")
        let packets = try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count {
                // Fails when the client is closed below.
                group.addTask { _ = try? await client.dialQuic(address) }
            }
            var packets: [[UInt8]: [UInt8]] = [:]
            let isComplete = try await loops.wait(atMost: .seconds(60)) {
                while let datagram = socket.receive() {
                    guard datagram.count >= 1200, datagram[0] & 0xb0 == 0x80 else { continue }
                    packets[Array(datagram[6..<(6 + Int(datagram[5]))])] = datagram
                }
                return packets.count >= count
            }
            group.cancelAll()
            await client.close()
            guard isComplete else { throw Failed("\(packets.count) of \(count) first packets captured") }
            return Array(packets.values)
        }
        return Initials(packets: packets)
    }

    /// A datagram with an Initial's header, and chance in place of what only keys can make.
    static func pretended(_ generator: inout some RandomNumberGenerator) -> [UInt8] {
        var packet: [UInt8] = [0xc3, 0, 0, 0, 1, 8]
        for _ in 0..<8 { packet.append(.random(in: 0...255, using: &generator)) }
        packet.append(8)
        for _ in 0..<8 { packet.append(.random(in: 0...255, using: &generator)) }
        packet.append(0)
        let length = 1200 - packet.count - 2
        packet += [0x40 | UInt8(length >> 8), UInt8(length & 0xff)]
        while packet.count < 1200 {
            withUnsafeBytes(of: generator.next()) { packet.append(contentsOf: $0) }
        }
        return Array(packet.prefix(1200))
    }

    /// An Initial with another destination and token in its header, of no less than 1200 bytes. It does not decrypt any more.
    static func readdressed(_ packet: [UInt8], to destination: [UInt8], token: [UInt8]) throws -> [UInt8] {
        let header = try PacketHeader(parsing: packet.span.bytes, shortHeaderIDLength: 8)
        guard let old = header.tokenRange else { throw Failed("the captured packet is not an Initial") }
        var changed = Array(packet[..<5]) + [UInt8(destination.count)] + destination
        changed += packet[(header.sourceIDRange.lowerBound - 1)..<header.sourceIDRange.upperBound]
        changed += [0x40 | UInt8(token.count >> 8), UInt8(token.count & 0xff)] + token
        changed += packet[old.upperBound...]
        return changed + [UInt8](repeating: 0, count: max(0, 1200 - changed.count))
    }
}
