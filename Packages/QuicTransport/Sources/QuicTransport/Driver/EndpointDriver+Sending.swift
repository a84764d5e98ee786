import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Datagrams on their way out, and what happens when the kernel has no room for them.
extension EndpointDriver {
    /// Whether the kernel takes nothing at the moment for the further socket at `local`, or for the first one.
    func isBlocked(at local: NetworkAddress?) -> Bool {
        guard hasUnsent else { return false }
        return unsent[ObjectIdentifier(local.flatMap { further[$0] } ?? socket)] != nil
    }

    /// Sends the batch in ``sendBuffer``. Returns the errno if the destination is refused.
    func send(_ batch: SendBatch) -> Int32? {
        let bytes = UnsafeRawBufferPointer(rebasing: sendBuffer[..<batch.count])
        let socket = hasFurther ? further[batch.local] ?? self.socket : self.socket
        // A packet for another path than the one in use, whose socket is full: the library repeats it, as if it were lost.
        guard !hasUnsent || unsent[ObjectIdentifier(socket)] == nil else { return nil }
        switch socket.send(
            bytes,
            segmentSize: batch.segmentSize,
            to: batch.remote,
            from: source(of: batch),
            ecn: batch.ecn
        )
        {
        case .sent: return nil
        case .dropped(let code): return code == EMSGSIZE ? nil : code
        case .wouldBlock(let sent, _):
            // The packets are sealed and counted as sent: they have to go out, or they are losses.
            let rest = bytes.dropFirst(sent * batch.segmentSize)
            unsent[ObjectIdentifier(socket)] = (Array(rest), batch)
            return nil
        }
    }

    private func source(of batch: SendBatch) -> NetworkAddress? {
        batch.local.isUnspecified ? nil : batch.local
    }

    func waitForRoom(_ driver: ConnectionDriver) {
        if !waitingForRoom.contains(where: { $0 === driver }) { waitingForRoom.append(driver) }
    }

    func writable(_ endpoint: UDPEndpoint) {
        if let (bytes, batch) = unsent[ObjectIdentifier(endpoint)] {
            let result = bytes.withUnsafeBytes { bytes in
                endpoint.send(
                    bytes,
                    segmentSize: batch.segmentSize,
                    to: batch.remote,
                    from: source(of: batch),
                    ecn: batch.ecn
                )
            }
            if case .wouldBlock(let sent, _) = result {
                unsent[ObjectIdentifier(endpoint)] = (Array(bytes.dropFirst(sent * batch.segmentSize)), batch)
                return
            }
            unsent[ObjectIdentifier(endpoint)] = nil
        }
        wakeWaiting()
    }

    func wakeWaiting() {
        for driver in waitingForRoom { touch(driver) }
        waitingForRoom = []
        serviceTouched()
    }
}
