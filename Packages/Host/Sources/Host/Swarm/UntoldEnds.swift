import NetStream
import Synchronization

/// What has an end that was not told yet, for the events of a host: they are over when nothing is left here. A part of
/// locked state.
struct UntoldEnds {
    /// Connections, from the moment they are taken in until ``HostEvent/disconnected(_:reason:)`` was told.
    private(set) var connections: [UInt64: HostConnection] = [:]
    private var listeners = 0
    /// Fulfilled when everything was told, once somebody asks for that.
    private var whenTold: SharedResult<Void>?

    mutating func add(_ connection: HostConnection) { connections[connection.info.id] = connection }

    mutating func addListener() { listeners += 1 }

    /// Takes note of an end that was told.
    ///
    /// - Returns: What is to be fulfilled outside the lock, if it was the last one.
    mutating func told(_ connection: HostConnection) -> SharedResult<Void>? {
        connections[connection.info.id] = nil
        return waiterIfNothingIsLeft
    }

    /// The same for a listener's end.
    mutating func toldListener() -> SharedResult<Void>? {
        listeners -= 1
        return waiterIfNothingIsLeft
    }

    /// What to wait for until all ends were told, `nil` when they were. For one task.
    mutating func wait() -> SharedResult<Void>? {
        guard !connections.isEmpty || listeners > 0 else { return nil }
        let result = SharedResult<Void>()
        _ = result.join()
        whenTold = result
        return result
    }

    private var waiterIfNothingIsLeft: SharedResult<Void>? {
        connections.isEmpty && listeners == 0 ? whenTold : nil
    }
}
