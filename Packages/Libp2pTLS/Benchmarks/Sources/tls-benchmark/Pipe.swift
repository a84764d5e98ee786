import CGnuTLS
import Glibc
import Libp2pTLS

/// One direction-pair of an in-memory connection; GnuTLS holds an unretained pointer while `handshake` runs.
private final class Pipe {
    var arrived: [UInt8] = []
    weak var other: Pipe?

    func attach(_ session: gnutls_session_t) {
        gnutls_transport_set_ptr(session, Unmanaged.passUnretained(self).toOpaque())
        gnutls_transport_set_push_function(session) { pointer, data, count in
            guard let pointer, let data else { return -1 }
            let pipe = Unmanaged<Pipe>.fromOpaque(pointer).takeUnretainedValue()
            pipe.other?.arrived += UnsafeRawBufferPointer(start: data, count: count)
            return count
        }
        gnutls_transport_set_pull_function(session) { pointer, data, count in
            guard let pointer, let data else { return -1 }
            let pipe = Unmanaged<Pipe>.fromOpaque(pointer).takeUnretainedValue()
            let taken = min(count, pipe.arrived.count)
            if taken == 0 {
                errno = EAGAIN
                return -1
            }
            UnsafeMutableRawBufferPointer(start: data, count: taken).copyBytes(from: pipe.arrived.prefix(taken))
            pipe.arrived.removeFirst(taken)
            return taken
        }
    }
}

/// A whole mutual handshake in memory; returns whether both ends verified the other.
func handshake(_ client: TLSSession, _ server: TLSSession) -> Bool {
    let clientPipe = Pipe()
    let serverPipe = Pipe()
    clientPipe.other = serverPipe
    serverPipe.other = clientPipe
    clientPipe.attach(client.handle)
    serverPipe.attach(server.handle)
    var results: (Int32, Int32) = (GNUTLS_E_AGAIN, GNUTLS_E_AGAIN)
    for _ in 0..<6 where results != (0, 0) {
        if results.0 != 0 { results.0 = gnutls_handshake(client.handle) }
        if results.1 != 0 { results.1 = gnutls_handshake(server.handle) }
    }
    return withExtendedLifetime((clientPipe, serverPipe)) {
        results == (0, 0) && client.verifiedPeer != nil && server.verifiedPeer != nil
    }
}
