import Synchronization
import Testing

@testable import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Transport parameters in their form on the wire (RFC 9000 §18), with their order kept.
struct ParameterList {
    var entries: [(id: UInt64, value: [UInt8])] = []

    init(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let id = InitialForge.takeVarint(&rest)
            let length = InitialForge.takeVarint(&rest)
            entries.append((UInt64(id), Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
    }

    var bytes: [UInt8] { entries.flatMap { varint($0.id) + varint(UInt64($0.value.count)) + $0.value } }

    subscript(id: UInt64) -> [UInt8]? {
        get { entries.first { $0.id == id }?.value }
        set {
            guard let index = entries.firstIndex(where: { $0.id == id }) else {
                if let newValue { entries.append((id, newValue)) }
                return
            }
            if let newValue { entries[index].value = newValue } else { entries.remove(at: index) }
        }
    }
}

/// Changes what connections say in their transport parameters.
enum LocalParameters {
    fileprivate static let changes = Mutex<[UInt: @Sendable ([UInt8]) -> [UInt8]]>([:])
    fileprivate static let changesOfThreads = Mutex<[UInt: @Sendable ([UInt8]) -> [UInt8]]>([:])

    /// The same for every connection that `body` makes, on this thread: those whose parameters are wanted as they are made.
    static func changing(_ change: @escaping @Sendable ([UInt8]) -> [UInt8], during body: () throws -> Void) rethrows {
        let thread = UInt(pthread_self())
        changesOfThreads.withLock { $0[thread] = change }
        defer { changesOfThreads.withLock { $0[thread] = nil } }
        try body()
    }

    fileprivate static func change(of connection: UInt) -> (@Sendable ([UInt8]) -> [UInt8])? {
        changes.withLock { $0[connection] } ?? changesOfThreads.withLock { $0[UInt(pthread_self())] }
    }

    /// Runs `body`, during which other transport parameters stand in the place of a connection's own; no bytes are no such
    /// extension. They may have 512 bytes.
    static func changing(
        of core: ConnectionCore,
        _ change: @escaping @Sendable ([UInt8]) -> [UInt8],
        during body: () throws -> Void
    ) throws {
        // The second thing the core's C half consists of, after two words for GnuTLS.
        let half = UnsafeRawPointer(try #require(core.pointer))
        let connection = half.load(fromByteOffset: 2 * MemoryLayout<UnsafeRawPointer>.size, as: UInt.self)
        changes.withLock { $0[connection] = change }
        defer { changes.withLock { $0[connection] = nil } }
        try body()
    }
}

private typealias Encode = @convention(c) (OpaquePointer?, UnsafeMutablePointer<UInt8>?, Int) -> Int

/// Stands before the library's function of this name, which the C half calls for the extension.
@_cdecl("ngtcp2_conn_encode_local_transport_params")
public func encodeLocalTransportParameters(
    _ connection: OpaquePointer?,
    _ destination: UnsafeMutablePointer<UInt8>?,
    _ capacity: Int
) -> Int {
    // RTLD_NEXT, which Swift does not import.
    let next = UnsafeMutableRawPointer(bitPattern: -1)
    guard let symbol = dlsym(next, "ngtcp2_conn_encode_local_transport_params") else { return -1 }
    let count = unsafeBitCast(symbol, to: Encode.self)(connection, destination, capacity)
    let key = UInt(bitPattern: connection)
    guard count > 0, let destination, let change = LocalParameters.change(of: key) else { return count }
    let changed = change(Array(UnsafeBufferPointer(start: destination, count: count)))
    precondition(changed.count <= capacity)
    for (index, byte) in changed.enumerated() { destination[index] = byte }
    return changed.count
}
