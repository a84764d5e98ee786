/// The side that answers proposals. No I/O: feed it bytes, send what it returns.
///
/// ```
///              header              known name
///   waiting ────────────► listening ──────────► agreed
///    (answers the header)  │    ▲    (echoes it)
///                          └────┘ unknown name: na;  ls: the list
/// ```
struct MultistreamListener: Sendable {
    /// What follows from the bytes received: bytes to send, and the outcome if there is one.
    struct Output: Sendable, Equatable {
        /// To be sent first, in one piece.
        var bytes: [UInt8] = []
        /// The protocol agreed on, and the application data behind it.
        var agreed: Agreement?
        /// There will be no agreement: close the stream once the bytes are sent.
        var isGivenUp = false
    }

    /// A protocol that both sides speak.
    struct Agreement: Sendable, Equatable {
        /// The name as the peer wrote it.
        var name: [UInt8]
        /// Application data that came behind the proposal.
        var rest: [UInt8]
    }

    /// How often a peer may ask for the list in one negotiation.
    private static let listLimit = 3
    /// Most bytes of names in one answer to `ls`, so that a few bytes bring about no flood.
    private static let listSize = 65000

    private var hasHeader = false
    private var refusals = 0
    private var lists = 0
    private var isOver = false
    private var framer = MultistreamFramer()

    /// Takes bytes from the peer.
    ///
    /// - Parameters:
    ///   - bytes: What arrived.
    ///   - accepts: Whether this host speaks a protocol. Names are compared as bytes.
    ///   - names: What to answer to `ls`, three times at most and as far as it fits into 64 KiB.
    /// - Throws: ``HostError/Code/negotiationFailed`` when the peer does not follow the protocol: reset the stream. Not for
    ///   what stands behind a proposal that was refused.
    mutating func receive(
        _ bytes: [UInt8],
        accepts: ([UInt8]) -> Bool,
        names: () -> [[UInt8]]
    ) throws(HostError) -> Output {
        var output = Output()
        framer.append(bytes)
        while !isOver {
            let next: [UInt8]?
            do throws(HostError) {
                next = try framer.nextLine()
            } catch {
                // What a lazy peer says behind its proposal is nonsense when that is refused, though the first of it may pass
                // for one more. It has to learn of the refusal, which a reset would overtake.
                guard 1...2 ~= refusals else { throw error }
                isOver = true
                output.isGivenUp = true
                break
            }
            guard let line = next else { break }
            guard hasHeader else {
                guard line == Multistream.header else {
                    throw HostError(.negotiationFailed, "the peer's first line is not /multistream/1.0.0")
                }
                hasHeader = true
                output.bytes += Multistream.frame(Multistream.header)
                continue
            }
            if line == Multistream.list {
                lists += 1
                guard lists <= Self.listLimit else {
                    throw HostError(.negotiationFailed, "the peer asked for the list more than \(Self.listLimit) times")
                }
                output.bytes += Multistream.frameList(Self.fitting(names()))
            } else if accepts(line) {
                isOver = true
                output.bytes += Multistream.frame(line)
                output.agreed = Agreement(name: line, rest: framer.takeRest())
            } else {
                refusals += 1
                output.bytes += Multistream.frame(Multistream.notAvailable)
            }
        }
        return output
    }

    private static func fitting(_ names: [[UInt8]]) -> [[UInt8]] {
        var size = 0
        let rest = names.firstIndex { name in
            // The length before a name and the line feed behind it.
            size += name.count + 3
            return size > listSize
        }
        return Array(names[..<(rest ?? names.endIndex)])
    }
}
