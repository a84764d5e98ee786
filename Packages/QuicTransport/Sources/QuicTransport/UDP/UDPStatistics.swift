/// Counters of one socket since it was opened.
struct UDPStatistics: Sendable, Hashable {
    var datagramsReceived = 0
    var bytesReceived = 0
    /// Messages of the kernel, each of one or more datagrams.
    var messagesReceived = 0
    /// Datagrams without a byte; dropped, because no packet of QUIC is empty.
    var emptyDatagrams = 0
    /// Datagrams dropped because the kernel cut them or named no source.
    var unreadableDatagrams = 0
    /// Errors the kernel reported on reading; none of them closes the socket but those SwiftNIO insists on.
    var receiveErrors = 0
    var datagramsSent = 0
    var bytesSent = 0
    var sendCalls = 0
    /// Datagrams refused by the kernel.
    var datagramsDropped = 0
    /// The errno of the last refusal, 0 for none.
    var lastSendError: Int32 = 0
    /// How often the send buffer was full.
    var sendsBlocked = 0

    /// What two sockets have counted together.
    static func + (one: Self, other: Self) -> Self {
        Self(
            datagramsReceived: one.datagramsReceived + other.datagramsReceived,
            bytesReceived: one.bytesReceived + other.bytesReceived,
            messagesReceived: one.messagesReceived + other.messagesReceived,
            emptyDatagrams: one.emptyDatagrams + other.emptyDatagrams,
            unreadableDatagrams: one.unreadableDatagrams + other.unreadableDatagrams,
            receiveErrors: one.receiveErrors + other.receiveErrors,
            datagramsSent: one.datagramsSent + other.datagramsSent,
            bytesSent: one.bytesSent + other.bytesSent,
            sendCalls: one.sendCalls + other.sendCalls,
            datagramsDropped: one.datagramsDropped + other.datagramsDropped,
            lastSendError: other.lastSendError != 0 ? other.lastSendError : one.lastSendError,
            sendsBlocked: one.sendsBlocked + other.sendsBlocked
        )
    }
}
