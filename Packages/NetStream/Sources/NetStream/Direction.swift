/// Who opened a connection or a stream.
public enum Direction: Sendable, Hashable, CaseIterable {
    /// The remote peer opened it.
    case inbound
    /// This peer opened it.
    case outbound
}
