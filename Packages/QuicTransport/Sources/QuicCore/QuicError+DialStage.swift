extension QuicError {
    /// How far a dial came that failed. An open set: later versions may tell more apart.
    public struct DialStage: Sendable, Hashable, CustomStringConvertible {
        private let number: UInt8

        private init(_ number: UInt8) {
            self.number = number
        }

        /// The name was being looked up.
        public static let resolution = DialStage(0)
        /// Nothing had been sent: the limit on connections, the socket, the TLS session.
        public static let preparation = DialStage(1)
        /// Packets were sent and nothing had come back.
        public static let contact = DialStage(2)
        /// The peer had answered, and was not verified yet.
        public static let handshake = DialStage(3)
        /// The peer was verified, and had not accepted this side yet.
        public static let confirmation = DialStage(4)

        /// The stage in words.
        public var description: String {
            switch number {
            case 0: "looking the name up"
            case 1: "before anything was sent"
            case 2: "nothing has come back"
            case 3: "during the handshake"
            default: "waiting for the peer to accept this side"
            }
        }
    }

    /// The error of a dial that came so far; one that tells of a stage already keeps it.
    package func during(_ stage: DialStage?) -> QuicError {
        var error = self
        if error.dialStage == nil { error.dialStage = stage }
        return error
    }
}
