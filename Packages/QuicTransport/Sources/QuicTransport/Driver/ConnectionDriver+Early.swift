import NetStream
import QuicCore

/// Early data (0-RTT): a connection that there is before its handshake is done.
extension ConnectionDriver {
    /// A dialed connection can send early data, or an accepted one has received some. It is handed up where that was asked for;
    /// otherwise what arrives waits until the handshake is done, and with it nobody else can have sent it.
    func earlyDataStarted(_ result: HandshakeResult) {
        let connection = QuicConnection(driver: self, handshake: result, isEarly: handsUpEarly)
        self.connection = connection
        guard handsUpEarly else { return }
        if direction == .inbound {
            endpoint.deliver(connection, of: self)
        } else {
            endDial(.success(connection))
        }
    }

    /// The server has not taken what was sent early: whoever waits on one of these streams is told so.
    func earlyDataRejected(_ ids: [StreamID]) {
        for id in ids {
            guard let mailbox = streams.removeValue(forKey: id) else { continue }
            mailbox.connectionFailed(.earlyDataRejected)
            openOutbound -= 1
        }
    }
}
