import CGnuTLS
import Foundation

@testable import Libp2pTLS

/// One end of an in-memory TLS connection: bytes that arrived, and a way to the other end.
///
/// GnuTLS calls back with an unretained pointer to it; `Handshake` keeps both ends until the sessions are gone.
final class Wire {
    var arrived: [UInt8] = []
    weak var other: Wire?

    /// Makes `session` read from and write to this wire.
    func attach(_ session: gnutls_session_t) {
        gnutls_transport_set_ptr(session, Unmanaged.passUnretained(self).toOpaque())
        gnutls_transport_set_push_function(session) { pointer, data, count in
            guard let pointer, let data else { return -1 }
            let wire = Unmanaged<Wire>.fromOpaque(pointer).takeUnretainedValue()
            wire.other?.arrived += UnsafeRawBufferPointer(start: data, count: count)
            return count
        }
        gnutls_transport_set_pull_function(session) { pointer, data, count in
            guard let pointer, let data else { return -1 }
            let wire = Unmanaged<Wire>.fromOpaque(pointer).takeUnretainedValue()
            guard !wire.arrived.isEmpty else {
                errno = EAGAIN
                return -1
            }
            let taken = min(count, wire.arrived.count)
            UnsafeMutableRawBufferPointer(start: data, count: taken).copyBytes(from: wire.arrived.prefix(taken))
            wire.arrived.removeFirst(taken)
            return taken
        }
    }
}

/// One end of a handshake and what came of it.
struct End {
    let handle: gnutls_session_t
    /// Owns `handle` and keeps it for as long as this end exists.
    private let owner: AnyObject
    let wire = Wire()
    /// The last result of `gnutls_handshake`: 0 when it completed.
    var result: Int32 = GNUTLS_E_AGAIN
    var isFinished = false

    init(_ handle: gnutls_session_t, of owner: AnyObject) {
        self.handle = handle
        self.owner = owner
        wire.attach(handle)
    }

    /// Runs the handshake until it needs bytes; sends the alert of a failure as the QUIC layer would.
    mutating func step() {
        guard !isFinished else { return }
        defer { withExtendedLifetime(owner) {} }
        result = gnutls_handshake(handle)
        if result == 0 {
            isFinished = true
        } else if gnutls_error_is_fatal(result) != 0 {
            isFinished = true
            gnutls_alert_send_appropriate(handle, result)
        }
    }

    /// The alert that is waiting, or nil: read after the handshake.
    mutating func readAlert() -> UInt8? {
        defer { withExtendedLifetime(owner) {} }
        var buffer = [UInt8](repeating: 0, count: 64)
        if result == GNUTLS_E_FATAL_ALERT_RECEIVED { return UInt8(gnutls_alert_get(handle).rawValue) }
        let received = gnutls_record_recv(handle, &buffer, buffer.count)
        return received == Int(GNUTLS_E_FATAL_ALERT_RECEIVED) ? UInt8(gnutls_alert_get(handle).rawValue) : nil
    }
}

/// A real TLS 1.3 handshake in memory.
func handshake(_ client: inout End, _ server: inout End) {
    client.wire.other = server.wire
    server.wire.other = client.wire
    for _ in 0..<10 where !(client.isFinished && server.isFinished) {
        client.step()
        server.step()
    }
}

/// Runs a handshake between two of our sessions.
func handshake(_ client: TLSSession, _ server: TLSSession) -> (client: End, server: End) {
    var clientEnd = End(client.handle, of: client)
    var serverEnd = End(server.handle, of: server)
    handshake(&clientEnd, &serverEnd)
    return (clientEnd, serverEnd)
}
