import NetStreamTesting
import Testing

@testable import Host

struct Transcripts: Decodable {
    struct Step: Decodable {
        var from: String
        var text: [String]?
        var hex: String
        var protocols: [String]?
    }
    struct Transcript: Decodable {
        var name: String
        var steps: [Step]
    }
    struct Malformed: Decodable {
        var hex: String
        var why: String
    }
    var tokens: [String: String]
    var transcripts: [Transcript]
    var malformed: [Malformed]
}

/// The state machines alone, against the transcripts of the specification.
@Suite struct MultistreamTests {
    let file: Transcripts

    init() throws {
        file = try vectors("multistream_transcripts.json")
    }

    func transcript(_ name: String) throws -> Transcripts.Transcript {
        try #require(file.transcripts.first { $0.name.hasPrefix(name) })
    }

    /// Plays the initiator's part to a listener and compares every byte of its answers.
    func listen(
        _ transcript: Transcripts.Transcript,
        to spoken: [String]
    ) throws -> (listener: MultistreamListener, agreed: MultistreamListener.Agreement?) {
        var listener = MultistreamListener()
        let names = spoken.map { Array($0.utf8) }
        var agreed: MultistreamListener.Agreement?
        var answers: [UInt8] = []
        for step in transcript.steps {
            if step.from == "initiator" {
                let output = try listener.receive(bytes(hex: step.hex), accepts: names.contains, names: { names })
                answers += output.bytes
                agreed = output.agreed ?? agreed
            } else {
                var expected = bytes(hex: step.hex)
                // In the lazy transcript the handler's answer follows the negotiation's.
                if let agreed, !agreed.rest.isEmpty { expected = Array(expected.prefix(answers.count)) }
                #expect(answers == expected, "\(transcript.name)")
                answers = []
            }
        }
        #expect(answers.isEmpty)
        return (listener, agreed)
    }

    @Test func tokensAreFramedAsWritten() {
        #expect(file.tokens.count > 5)
        for (text, hex) in file.tokens {
            let line = text == "multistream" ? Multistream.header : Array(text.utf8)
            #expect(Multistream.frame(line) == bytes(hex: hex))
        }
    }

    @Test(arguments: ["accept, one round per message", "accept, initiator batches", "first proposal rejected"])
    func theListenerAnswersAsWritten(_ name: String) throws {
        let (_, agreed) = try listen(transcript(name), to: ["/ipfs/ping/1.0.0"])
        #expect(agreed == .init(name: Array("/ipfs/ping/1.0.0".utf8), rest: []))
    }

    @Test func theListenerRejectsWhatItDoesNotSpeak() throws {
        let (_, agreed) = try listen(transcript("all rejected"), to: ["/ipfs/ping/1.0.0"])
        #expect(agreed == nil)
    }

    @Test func theListenerFindsApplicationDataBehindALazyProposal() throws {
        let (_, agreed) = try listen(transcript("lazy"), to: ["/ipfs/ping/1.0.0"])
        #expect(agreed?.rest == (0..<32).map { UInt8($0) })
    }

    @Test func theListenerTellsItsProtocols() throws {
        let (_, agreed) = try listen(transcript("ls"), to: ["/a", "/b", "/c"])
        #expect(agreed == nil)
    }

    @Test func theListenerRefusesAnotherHeader() throws {
        let wrong = try transcript("wrong header")
        #expect(throws: HostError(.negotiationFailed, "")) { try listen(wrong, to: ["/a"]) }
    }

    @Test func theDialerSpeaksAsWritten() throws {
        let steps = try transcript("first proposal rejected").steps
        var dialer = MultistreamDialer(proposals: ["/foo/1.0.0", "/ipfs/ping/1.0.0"].map { Array($0.utf8) })
        #expect(dialer.opening == bytes(hex: steps[0].hex))
        #expect(try dialer.receive(bytes(hex: steps[1].hex)) == .send(bytes(hex: steps[2].hex)))
        #expect(try dialer.receive(bytes(hex: steps[3].hex)) == .agreed(proposal: 1, rest: []))
    }

    @Test func theDialerGivesUpWhenAllIsRejected() throws {
        let steps = try transcript("all rejected").steps
        var dialer = MultistreamDialer(proposals: ["/foo", "/bar"].map { Array($0.utf8) })
        #expect(dialer.opening == bytes(hex: steps[0].hex))
        #expect(try dialer.receive(bytes(hex: steps[1].hex)) == .send(bytes(hex: steps[2].hex)))
        #expect(try dialer.receive(bytes(hex: steps[3].hex)) == .exhausted)
    }

    @Test func theDialerFindsApplicationDataBehindTheAnswer() throws {
        let steps = try transcript("lazy").steps
        var dialer = MultistreamDialer(proposals: [Array("/ipfs/ping/1.0.0".utf8)])
        let payload = (0..<32).map { UInt8($0) }
        #expect(dialer.opening + payload == bytes(hex: steps[0].hex))
        #expect(try dialer.receive(bytes(hex: steps[1].hex)) == .agreed(proposal: 0, rest: payload))
    }

    @Test func malformedLinesAreRefusedOrWaitedFor() throws {
        for vector in file.malformed {
            var listener = MultistreamListener()
            var dialer = MultistreamDialer(proposals: [Array("/a".utf8)])
            switch vector.why {
            case "EOF before header", "truncated":
                // Not wrong yet: the driver sees the end of the stream.
                let output = try listener.receive(bytes(hex: vector.hex), accepts: { _ in true }, names: { [] })
                #expect(output == .init())
                #expect(try dialer.receive(bytes(hex: vector.hex)) == .wait)
            default:
                #expect(throws: HostError(.negotiationFailed, ""), "\(vector.why)") {
                    try listener.receive(bytes(hex: vector.hex), accepts: { _ in true }, names: { [] })
                }
                #expect(throws: HostError(.negotiationFailed, ""), "\(vector.why)") {
                    try dialer.receive(bytes(hex: vector.hex))
                }
            }
        }
    }

    @Test func aLineOf1024BytesPassesAndOneMoreDoesNot() throws {
        let header = Multistream.frame(Multistream.header)
        for (size, isFine) in [(1023, true), (1024, false)] {
            var listener = MultistreamListener()
            let name = [UInt8](repeating: UInt8(ascii: "x"), count: size)
            let input = header + Multistream.frame(name)
            if isFine {
                let output = try listener.receive(input, accepts: { $0 == name }, names: { [] })
                #expect(output.agreed?.name == name)
            } else {
                #expect(throws: HostError(.negotiationFailed, "")) {
                    try listener.receive(input, accepts: { _ in true }, names: { [] })
                }
            }
        }
    }

    @Test func aLengthThatIsNotMinimalIsRefused() {
        var listener = MultistreamListener()
        #expect(throws: HostError(.negotiationFailed, "")) {
            try listener.receive([0x93, 0x00], accepts: { _ in true }, names: { [] })
        }
    }

    @Test func theListIsToldAFewTimesOnly() throws {
        let names = (0..<10_000).map { Array("/some/protocol/\($0)".utf8) }
        var listener = MultistreamListener()
        _ = try listener.receive(Multistream.frame(Multistream.header), accepts: { _ in false }, names: { [] })
        let ask = Multistream.frame(Multistream.list)
        var size = 0
        for _ in 0..<3 {
            size += try listener.receive(ask, accepts: { _ in false }, names: { names }).bytes.count
        }
        // Nobody needs more than the first names that fit.
        #expect(size > 3 * 32768 && size <= 3 * 65536)
        #expect(throws: HostError(.negotiationFailed, "")) {
            try listener.receive(ask, accepts: { _ in false }, names: { names })
        }
    }

    @Test func endlessProposalsAreRefused() throws {
        var listener = MultistreamListener()
        _ = try listener.receive(Multistream.frame(Multistream.header), accepts: { _ in false }, names: { [] })
        let proposals = (0..<Multistream.lineCountLimit).flatMap { _ in Multistream.frame(Array("/x".utf8)) }
        #expect(throws: HostError(.negotiationFailed, "")) {
            try listener.receive(proposals, accepts: { _ in false }, names: { [] })
        }
    }

    @Test(arguments: [[0, 0, 7], Multistream.frame(Array("a message with a length".utf8)) + [0, 0, 7]] as [[UInt8]])
    func whatALazyPeerSaysBehindARefusedProposalDoesNotHideTheRefusal(_ payload: [UInt8]) throws {
        var listener = MultistreamListener()
        let input = Multistream.frame(Multistream.header) + Multistream.frame(Array("/a".utf8)) + payload
        let output = try listener.receive(input, accepts: { _ in false }, names: { [] })
        let refusal = Multistream.frame(Multistream.header) + Multistream.frame(Multistream.notAvailable)
        #expect(output.isGivenUp && output.agreed == nil && output.bytes.starts(with: refusal))
    }

    @Test func namesAreComparedAsBytes() throws {
        // One letter by one scalar or by two: equal as strings, different as bytes.
        let (composed, decomposed) = ("/caf\u{e9}", "/cafe\u{301}")
        #expect(composed == decomposed)
        var listener = MultistreamListener()
        let spoken = [Array(composed.utf8)]
        let input = Multistream.frame(Multistream.header) + Multistream.frame(Array(decomposed.utf8))
        let output = try listener.receive(input, accepts: spoken.contains, names: { spoken })
        #expect(output.agreed == nil)
        var registry = HandlerRegistry()
        registry.set(Array(composed.utf8)) { _ in }
        #expect(registry.handler(for: Array(composed.utf8)) != nil)
        #expect(registry.handler(for: Array(decomposed.utf8)) == nil)
    }

    @Test func theDialerRefusesAnAnswerThatIsNoAnswer() throws {
        var dialer = MultistreamDialer(proposals: [Array("/a".utf8)])
        #expect(throws: HostError(.negotiationFailed, "")) {
            try dialer.receive(Multistream.frame(Multistream.header) + Multistream.frame(Array("/b".utf8)))
        }
    }

    /// Both machines, random protocols, random cuts: they agree on the first proposal that is spoken.
    @Test func dialerAndListenerAgreeHoweverTheBytesAreCut() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let all = (0..<12).map { Array("/p\($0)/\(String(repeating: "v", count: $0 * 20))".utf8) }
        for _ in 0..<500 {
            let spoken = all.filter { _ in Bool.random(using: &random) }
            let proposals = Array(all.shuffled(using: &random).prefix(Int.random(in: 1...8, using: &random)))
            let payload = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            var dialer = MultistreamDialer(proposals: proposals)
            var listener = MultistreamListener()
            var toListener = dialer.opening
            // Only a proposal that is sure to be accepted can be followed by data before its answer.
            let isLazy = proposals.count == 1 && spoken.contains(proposals[0])
            if isLazy { toListener += payload }
            var toDialer: [UInt8] = []
            var agreement: MultistreamListener.Agreement?
            var outcome: MultistreamDialer.Action?
            while outcome == nil, !(toListener.isEmpty && toDialer.isEmpty) {
                if !toListener.isEmpty, agreement == nil {
                    let count = Int.random(in: 1...toListener.count, using: &random)
                    let output = try listener.receive(
                        Array(toListener.prefix(count)),
                        accepts: spoken.contains,
                        names: { spoken }
                    )
                    toListener.removeFirst(count)
                    toDialer += output.bytes
                    if var agreed = output.agreed {
                        agreed.rest += toListener
                        toListener = []
                        agreement = agreed
                    }
                }
                if !toDialer.isEmpty {
                    let count = Int.random(in: 1...toDialer.count, using: &random)
                    switch try dialer.receive(Array(toDialer.prefix(count))) {
                    case .wait: break
                    case .send(let bytes): toListener += bytes
                    case let action: outcome = action
                    }
                    toDialer.removeFirst(count)
                }
            }
            if let expected = proposals.firstIndex(where: spoken.contains) {
                #expect(outcome == .agreed(proposal: expected, rest: []), "seed \(seed)")
                #expect(agreement?.name == proposals[expected], "seed \(seed)")
                #expect(agreement?.rest == (isLazy ? payload : []), "seed \(seed)")
            } else {
                #expect(outcome == .exhausted, "seed \(seed)")
                #expect(agreement == nil, "seed \(seed)")
            }
        }
    }

    /// Whatever comes: an error or an answer, never a crash, and never more answers than lines.
    @Test func randomBytesAreHarmless() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<3000 {
            var input = Bool.random(using: &random) ? Multistream.frame(Multistream.header) : []
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                switch Int.random(in: 0..<4, using: &random) {
                case 0: input += Multistream.frame(Array("/x".utf8))
                case 1: input += Multistream.frame(Multistream.list)
                default: input += (0..<3).map { _ in UInt8.random(in: 0...255, using: &random) }
                }
            }
            var listener = MultistreamListener()
            var dialer = MultistreamDialer(proposals: [Array("/y".utf8)])
            for byte in input {
                _ = try? dialer.receive([byte])
                guard (try? listener.receive([byte], accepts: { _ in false }, names: { [] })) != nil else { break }
            }
        }
    }
}
