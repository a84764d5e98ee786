public import ArgumentParser
public import Multiaddr
public import PeerID

/// What every subcommand takes.
public struct CommonOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The identity: a key file, made when it does not exist. Without it, a new one for this run.",
            valueName: "file"
        )
    )
    var key: String?

    /// Print one JSON object a line instead of text.
    @Flag(help: "Print one JSON object a line.")
    public var json = false

    /// For ArgumentParser.
    public init() {}

    /// The identity to use. Says on standard error when others could use the key file.
    public func identity() throws -> PrivateKey {
        try key.map { try KeyFile.loadOrCreate(path: $0, onWarning: { complain("\($0)") }) } ?? .ed25519()
    }
}

/// What a listening subcommand takes.
public struct ListenOptions: ParsableArguments, Sendable {
    /// The addresses to listen on.
    @Option(
        name: .customLong("listen"),
        help: ArgumentHelp(
            "Where to listen (default: /ip4/127.0.0.1/udp/0/quic-v1); may be given several times. Port 0 lets the system "
                + "choose.",
            valueName: "address"
        ),
        transform: listenAddress
    )
    public var addresses: [Multiaddr] = ["/ip4/127.0.0.1/udp/0/quic-v1"]

    /// For ArgumentParser.
    public init() {}

    /// Says where the host listens: one line for each address.
    public func announce(_ addresses: [Multiaddr], json: Bool) throws {
        struct Listening: Encodable {
            var type = "listening"
            var address: String
        }
        for address in addresses {
            if json {
                try Output.json(Listening(address: address.description))
            } else {
                Output.line("listening \(address)")
            }
        }
    }
}

/// What a dialing subcommand takes.
public struct DialOptions: ParsableArguments, Sendable {
    /// Whom to dial.
    @Argument(help: "Whom to dial: /ip4/…/udp/…/quic-v1/p2p/ID, as a listener prints it.", transform: quicAddress)
    public var address: Multiaddr

    /// For ArgumentParser.
    public init() {}
}

/// Reads a QUIC address from the command line; what is wrong with a bad one becomes the message.
public func quicAddress(_ text: String) throws -> Multiaddr {
    let address: Multiaddr
    do {
        address = try Multiaddr(parsing: text)
    } catch {
        throw ValidationError("bad address '\(text)': \(error.message)")
    }
    guard address.quicEndpoint?.version == .v1 else {
        throw ValidationError(
            "bad address '\(text)': it has to be a QUIC address such as /ip4/127.0.0.1/udp/4001/quic-v1"
        )
    }
    return address
}

/// Reads an address to listen on: one with an IP address of this machine, not a name.
public func listenAddress(_ text: String) throws -> Multiaddr {
    let address = try quicAddress(text)
    if case .dns = address.quicEndpoint?.host {
        throw ValidationError("bad address '\(text)': a listener needs an IP address, not a name")
    }
    return address
}

/// Reads a number of at least one from the command line.
public func positive(_ text: String, _ option: String) throws -> Int {
    guard let number = Int(text), number >= 1 else {
        throw ValidationError("\(option) has to be a number of at least 1, not '\(text)'")
    }
    return number
}

/// Reads a number of bytes from the command line.
public func byteCount(_ text: String) throws -> Int {
    guard let number = Int(text), number >= 0 else {
        throw ValidationError("'\(text)' is not a number of bytes of 0 or more")
    }
    return number
}

/// Reads a time in seconds from the command line, fractions allowed, an hour at most.
public func seconds(_ text: String) throws -> Duration {
    guard let number = Double(text), (0...3600).contains(number) else {
        throw ValidationError("'\(text)' is not a number of seconds between 0 and 3600")
    }
    return .seconds(number)
}
