/// The side that opened a stream and proposes protocols. No I/O: feed it bytes, send what it returns.
///
/// ```
///           start            header                  our name
///   idle ─────────► waiting ────────► proposing(i) ──────────► agreed(i)
///                                      │  ▲
///                                   na │  │ next proposal
///                                      └──┘  … none left ────► exhausted
/// ```
struct MultistreamDialer: Sendable {
    /// What follows from the bytes received.
    enum Action: Sendable, Equatable {
        /// Wait for more bytes.
        case wait
        /// Send these bytes, then ask again with none: there may be more lines.
        case send([UInt8])
        /// The peer agreed to a proposal. The bytes behind its answer are application data.
        case agreed(proposal: Int, rest: [UInt8])
        /// The peer speaks none of them.
        case exhausted
    }

    private enum State: Sendable {
        case waitingForHeader
        case proposing
        case over
    }

    private let proposals: [[UInt8]]
    private var current = 0
    private var state = State.waitingForHeader
    private var framer = MultistreamFramer()

    /// A negotiation about the given names, the most wanted first.
    init(proposals: [[UInt8]]) {
        self.proposals = proposals
    }

    /// What to send first: the header and the first proposal, in one piece.
    var opening: [UInt8] {
        Multistream.frame(Multistream.header) + (proposals.first.map(Multistream.frame) ?? [])
    }

    /// Takes bytes from the peer.
    ///
    /// - Throws: ``HostError/Code/negotiationFailed`` when the peer does not follow the protocol.
    mutating func receive(_ bytes: [UInt8]) throws(HostError) -> Action {
        framer.append(bytes)
        while let line = try framer.nextLine() {
            switch state {
            case .waitingForHeader:
                guard line == Multistream.header else {
                    throw HostError(.negotiationFailed, "the peer's first line is not /multistream/1.0.0")
                }
                state = .proposing
            case .proposing:
                if current < proposals.count, line == proposals[current] {
                    state = .over
                    return .agreed(proposal: current, rest: framer.takeRest())
                }
                // A header in the middle does no harm: some implementations send it twice.
                if line == Multistream.header { continue }
                guard line == Multistream.notAvailable else {
                    throw HostError(.negotiationFailed, "the peer answered a proposal with something else")
                }
                current += 1
                guard current < proposals.count else {
                    state = .over
                    return .exhausted
                }
                return .send(Multistream.frame(proposals[current]))
            case .over:
                return .wait
            }
        }
        return .wait
    }
}
