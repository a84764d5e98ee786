import Host
import NetStream
import PeerID
import QuicCore

/// What to tell the user about an error: the messages of our own errors, what caused them included
/// where that says more, and the description of others.
public func describe(_ error: any Error) -> String {
    switch error {
    case let error as HostError where error.code == .timeout: error.message
    case let error as HostError: withCause(error.message, error.cause)
    case let error as QuicError where [.peerVerification, .timeout].contains(error.code): error.message
    case let error as QuicError: withCause(error.message, error.cause)
    case let error as NetStreamError: withCause(error.message, error.cause)
    case let error as PeerIDError: withCause(error.message, error.cause)
    default: "\(error)"
    }
}

private func withCause(_ message: String, _ cause: (any Error)?) -> String {
    guard let cause else { return message }
    let reason = describe(cause)
    return message.contains(reason) ? message : "\(message): \(reason)"
}
