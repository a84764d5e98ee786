import FuzzSupport

@testable import Host

/// What a negotiation comes to.
private enum Outcome: Equatable {
    case open
    case agreed(name: [UInt8], rest: [UInt8])
    case exhausted
    case failed
}

private let names = ["/echo/1.0.0", "/foo/1.0.0", "/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/foo"].map { Array($0.utf8) }

/// The input cut into pieces by its own first bytes: all at once, byte by byte, and in between.
private func pieces(of input: [UInt8], _ size: Int) -> [[UInt8]] {
    stride(from: 0, to: input.count, by: size).map { Array(input[$0..<min($0 + size, input.count)]) }
}

private func isFrames(_ bytes: [UInt8], of lines: [[UInt8]]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
        guard let frame = lines.lazy.map(Multistream.frame).first(where: { rest.starts(with: $0) }) else {
            return false
        }
        rest = rest.dropFirst(frame.count)
    }
    return true
}

/// The side that proposes. The first byte says how many names, the second how the rest is cut.
@Sendable func fuzzMultistreamDialer(_ input: [UInt8]) {
    guard input.count >= 2 else { return }
    let proposals = Array(names.prefix(Int(input[0]) % (names.count + 1)))
    let answer = Array(input.dropFirst(2))
    func run(_ size: Int) -> (outcome: Outcome, sent: [UInt8]) {
        var dialer = MultistreamDialer(proposals: proposals)
        var sent = dialer.opening
        let parts = pieces(of: answer, size)
        for (index, part) in parts.enumerated() {
            guard var action = try? dialer.receive(part) else { return (.failed, []) }
            while case .send(let bytes) = action {
                sent += bytes
                guard let next = try? dialer.receive([]) else { return (.failed, []) }
                action = next
            }
            switch action {
            case .wait, .send: break
            case .exhausted: return (.exhausted, sent)
            case .agreed(let proposal, let rest):
                promise(proposals.indices.contains(proposal), "what is agreed on was proposed")
                return (.agreed(name: proposals[proposal], rest: rest + parts[(index + 1)...].joined()), sent)
            }
        }
        return (.open, sent)
    }
    let whole = run(1)
    promise(isFrames(whole.sent, of: [Multistream.header] + proposals), "only the header and the proposals are sent")
    let cut = run(Int(input[1]) % 64 + 1)
    // Answers to proposals that were not made yet are taken one after another, whenever they come.
    promise(cut.outcome == whole.outcome, "how the bytes are cut makes no difference")
    if case .agreed(_, let rest) = whole.outcome { promise(answer.suffix(rest.count) == rest[...], "no byte is lost") }
}

/// The side that answers. The first byte says which names it speaks, the second how the rest is cut.
@Sendable func fuzzMultistreamListener(_ input: [UInt8]) {
    guard input.count >= 2 else { return }
    let spoken = names.enumerated().filter { input[0] >> $0.offset & 1 == 1 }.map(\.element)
    let proposals = Array(input.dropFirst(2))
    func run(_ size: Int) -> (outcome: Outcome, sent: [UInt8]) {
        var listener = MultistreamListener()
        var sent: [UInt8] = []
        let parts = pieces(of: proposals, size)
        for (index, part) in parts.enumerated() {
            guard let output = try? listener.receive(part, accepts: spoken.contains, names: { spoken }) else {
                return (.failed, [])
            }
            sent += output.bytes
            if let agreed = output.agreed {
                promise(spoken.contains(agreed.name), "what is agreed on is spoken")
                return (.agreed(name: agreed.name, rest: agreed.rest + parts[(index + 1)...].joined()), sent)
            }
        }
        return (.open, sent)
    }
    let whole = run(1)
    let list = spoken.flatMap(Multistream.frame)
    promise(
        isFrames(whole.sent, of: [Multistream.header, Multistream.notAvailable, list] + spoken),
        "only the header, the names, the list and na are sent"
    )
    // A line costs at most its own length, or a refusal; the list can be asked for three times.
    let most = proposals.count * 2 + 3 * Multistream.frame(list).count
    promise(whole.sent.count <= most, "few bytes bring about few")
    let cut = run(Int(input[1]) % 64 + 1)
    promise(cut.outcome == whole.outcome && cut.sent == whole.sent, "how the bytes are cut makes no difference")
    if case .agreed(_, let rest) = whole.outcome {
        promise(proposals.suffix(rest.count) == rest[...], "no byte is lost")
    }
}
