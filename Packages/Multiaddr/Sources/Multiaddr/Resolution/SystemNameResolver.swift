import CMultiaddrResolver

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Resolves names as the rest of the system does: `getaddrinfo` for addresses, the C library's resolver for TXT records.
///
/// Both honour `/etc/resolv.conf`; `getaddrinfo` also `/etc/hosts` and `/etc/nsswitch.conf`. They block, so they run on
/// at most eight threads of their own; 256 lookups may wait for one. Their time limits are the system's (by default
/// about ten seconds); cancelling the task returns at once.
public struct SystemNameResolver: NameResolver {
    /// A resolver; all of them share their threads.
    public init() {}

    /// The IPv4 addresses of a name.
    ///
    /// - Throws: ``MultiaddrError`` with `resolutionFailed` or `resolutionLimit`; `CancellationError`.
    public func ip4Addresses(of name: String) async throws -> [[UInt8]] {
        try await LookupPool.shared.run { try Self.addresses(of: name, family: AF_INET) }
    }

    /// The IPv6 addresses of a name.
    ///
    /// - Throws: ``MultiaddrError`` with `resolutionFailed` or `resolutionLimit`; `CancellationError`.
    public func ip6Addresses(of name: String) async throws -> [[UInt8]] {
        try await LookupPool.shared.run { try Self.addresses(of: name, family: AF_INET6) }
    }

    /// The TXT records of a name.
    ///
    /// - Throws: ``MultiaddrError`` with `resolutionFailed` or `resolutionLimit`; `CancellationError`.
    public func textRecords(of name: String) async throws -> [[UInt8]] {
        try await LookupPool.shared.run { try Self.queryText(name) }
    }

    private static func addresses(of name: String, family: Int32) throws(MultiaddrError) -> [[UInt8]] {
        try checkName(name)
        var hints = addrinfo()
        hints.ai_family = family
        // One entry for each address instead of one for each kind of socket.
        #if canImport(Glibc)
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        #else
        hints.ai_socktype = SOCK_DGRAM
        #endif
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        guard status == 0 else {
            // EAI_NODATA and EAI_ADDRFAMILY are not declared everywhere: -5 and -9 on Linux.
            if status == EAI_NONAME || status == -5 || status == -9 { return [] }
            let reason = gai_strerror(status).map { String(cString: $0) } ?? "error \(status)"
            throw MultiaddrError(.resolutionFailed, "looking up \(name): \(reason)")
        }
        defer { freeaddrinfo(list) }
        var found: [[UInt8]] = []
        var entry = list
        while let info = entry?.pointee {
            entry = info.ai_next
            guard let address = info.ai_addr, info.ai_family == family else { continue }
            let raw = UnsafeRawPointer(address)
            if family == AF_INET, Int(info.ai_addrlen) >= MemoryLayout<sockaddr_in>.size {
                let value = raw.loadUnaligned(as: sockaddr_in.self).sin_addr
                found.append(withUnsafeBytes(of: value) { Array($0) })
            } else if family == AF_INET6, Int(info.ai_addrlen) >= MemoryLayout<sockaddr_in6>.size {
                let value = raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr
                found.append(withUnsafeBytes(of: value) { Array($0) })
            }
        }
        return found
    }

    private static func queryText(_ name: String) throws(MultiaddrError) -> [[UInt8]] {
        try checkName(name)
        // The largest DNS message there is; the library falls back to TCP by itself.
        var answer = [UInt8](repeating: 0, count: 65535)
        let length = c_multiaddr_query_txt(name, &answer, Int32(answer.count))
        guard length >= 0 else {
            if -length == HOST_NOT_FOUND || -length == NO_DATA { return [] }
            throw MultiaddrError(
                .resolutionFailed,
                -length == TRY_AGAIN
                    ? "no name server answered for the TXT records of \(name); try again later"
                    : "the name servers refused to look up the TXT records of \(name)"
            )
        }
        return DNSMessage.textRecords(in: answer.span.extracting(0..<min(Int(length), answer.count)))
    }

    private static func checkName(_ name: String) throws(MultiaddrError) {
        guard !name.isEmpty, name.utf8.count <= 253 + "_dnsaddr.".utf8.count, !name.utf8.contains(0) else {
            throw MultiaddrError(.resolutionFailed, "a name has 1 to 253 bytes and no NUL")
        }
    }
}
