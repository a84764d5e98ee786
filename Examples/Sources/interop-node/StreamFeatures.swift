import ExampleSupport
import Host
import NetStream
import PeerID

/// Opens 100 streams, and uses them when all of them are open: each gets its own bytes back.
func hundredStreams(to peer: PeerID, from host: BasicHost) async throws -> String {
    let count = 100
    let size = 1000
    let streams = try await withThrowingTaskGroup(of: NetStream.self) { group in
        for _ in 0..<count {
            group.addTask { try await host.newStream(to: peer, protocols: [EchoProtocol.name]) }
        }
        return try await group.reduce(into: []) { $0.append($1) }
    }
    // A first byte each way proves that each is open at the listener too, before the first is closed.
    try await withThrowingTaskGroup(of: Void.self) { group in
        for stream in streams {
            group.addTask {
                try await stream.write([1])
                try expect(try await stream.readExactly(1) == [1], "another byte came back than was sent")
            }
        }
        try await group.waitForAll()
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
        for stream in streams {
            group.addTask {
                let bytes = randomBytes(size)
                try await stream.write(bytes)
                try expect(try await stream.readExactly(size) == bytes, "other bytes came back than were sent")
                try await stream.close()
            }
        }
        try await group.waitForAll()
    }
    return "\(count) open at once, \(size) bytes each way on each, all as sent"
}

/// Sends many bytes and reads them again at the same time, with at most 1 MiB on the way.
///
/// py-libp2p drops without a word what it has received and nobody has read yet, above 2 MiB a stream.
func largeEcho(_ bytes: [UInt8], to peer: PeerID, from host: BasicHost) async throws -> String {
    let block = 1 << 16
    let ahead = 16
    let stream = try await host.newStream(to: peer, protocols: [EchoProtocol.name])
    do {
        let (credits, giver) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingOldest(ahead))
        for _ in 0..<ahead { giver.yield() }
        async let sent: Void = {
            var next = credits.makeAsyncIterator()
            for start in stride(from: 0, to: bytes.count, by: block) {
                guard await next.next() != nil else { throw ExampleError("reading what came back failed") }
                try await stream.write(Array(bytes[start..<min(start + block, bytes.count)]))
            }
        }()
        defer { giver.finish() }
        for start in stride(from: 0, to: bytes.count, by: block) {
            let part = bytes[start..<min(start + block, bytes.count)]
            let received = try await stream.readExactly(part.count)
            try expect(part.elementsEqual(received), "other bytes came back than were sent, from \(start) on")
            giver.yield()
        }
        try await sent
        try await stream.close()
    } catch {
        stream.reset()
        throw error
    }
    return "\(bytes.count) bytes each way at once, all as sent"
}

/// Resets a stream with a code, and asks the listener which code it saw.
func resetWithCode(to peer: PeerID, from host: BasicHost) async throws -> String {
    let code = StreamErrorCode(rawValue: 0x2a)
    let stream = try await host.newStream(to: peer, protocols: [ControlProtocol.name])
    try await stream.write(text: "await-reset")
    let answer = try await stream.readText()
    try expect(answer == "ready", "the listener answers \(answer)")
    stream.reset(code: code)
    let seen = try await ask("seen", of: peer, from: host)
    try expect(seen == "reset \(code.rawValue)", "reset with code \(code.rawValue), the listener saw: \(seen)")
    return "the listener saw code \(code.rawValue)"
}

/// Has the listener reset a stream with a code, and looks which code arrives.
func resetByListener(_ peer: PeerID, from host: BasicHost) async throws -> String {
    let stream = try await host.newStream(to: peer, protocols: [ControlProtocol.name])
    try await stream.write(text: "reset 66")
    let announced = try await stream.readText().split(separator: " ").last ?? ""
    try await stream.write(text: "go")
    let end = await ControlProtocol.howItEnds(stream)
    stream.reset()
    try expect(end == "reset \(announced)", "the listener announced a reset with code \(announced), what came: \(end)")
    return announced == "66" ? "code 66 came" : "code \(announced) came, the only one that this listener has"
}

/// Asks the listener what our identify told it.
func agent(as configured: HostConfiguration.Identify, of peer: PeerID, from host: BasicHost) async throws -> String {
    let seen = try await ask("identify", of: peer, from: host)
    let wanted = "\(configured.protocolVersion)\t\(configured.agentVersion)"
    try expect(seen == wanted, "the listener saw \(seen), configured is \(wanted)")
    return "the listener saw \(configured.agentVersion), protocol version \(configured.protocolVersion)"
}

/// Sends so many bytes to a peer that serves perf, and fetches as many.
func perf(_ bytes: Int, with peer: PeerID, from host: BasicHost) async throws -> String {
    let result = try await host.perf(peer, upload: UInt64(bytes), download: UInt64(bytes))
    let rates = [result.uploadTime, result.downloadTime].map { time in
        fixed(Double(bytes) / 1_048_576 / (time / .seconds(1)), 1)
    }
    return "\(bytes) bytes each way, MiB/s up and down: " + rates.joined(separator: ", ")
}

/// The listener's answer of one line to a question of one line.
private func ask(_ question: String, of peer: PeerID, from host: BasicHost) async throws -> String {
    let stream = try await host.newStream(to: peer, protocols: [ControlProtocol.name])
    do {
        try await stream.write(text: question)
        let answer = try await stream.readText()
        try await stream.close()
        return answer
    } catch {
        stream.reset()
        throw error
    }
}
