/// What a client has to know of a NewSessionTicket message (RFC 8446 §4.6.1) before it sends early data with the ticket.
/// GnuTLS does not tell it.
struct NewSessionTicket: Equatable {
    /// For how many seconds the ticket is good.
    var lifetime: UInt32
    /// Whether the server takes early data with it: QUIC has one value only for that (RFC 9001 §4.6.1).
    var allowsEarlyData: Bool

    private static let type: UInt8 = 4
    private static let earlyData: UInt16 = 42

    /// Reads a whole handshake message, its header of four bytes included; `nil` if it is another one, or damaged.
    init?(_ message: some Collection<UInt8>) {
        var rest = Array(message)[...]
        func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }
        func number(_ count: Int) -> UInt32? { take(count).map { $0.reduce(0) { $0 << 8 | UInt32($1) } } }

        guard number(1) == UInt32(Self.type), let length = number(3), length == rest.count,
            let lifetime = number(4), number(4) != nil,
            let nonce = number(1), take(Int(nonce)) != nil,
            let ticket = number(2), take(Int(ticket)) != nil,
            let extensions = number(2), extensions == rest.count
        else { return nil }
        self.lifetime = lifetime
        allowsEarlyData = false
        while !rest.isEmpty {
            guard let type = number(2), let size = number(2), let body = take(Int(size)) else { return nil }
            if type == Self.earlyData { allowsEarlyData = body.elementsEqual([0xff, 0xff, 0xff, 0xff]) }
        }
    }
}
