/// Looks names up. Hand in your own to resolve from a fixed table, over HTTPS, or not at all.
///
/// An implementation looks up; ``resolve(_:limits:)``, which walks addresses and bounds the work, comes with it.
public protocol NameResolver: Sendable {
    /// The IPv4 addresses of a name, four bytes each; none when it has none.
    ///
    /// - Throws: when the lookup failed, which is something else than an empty answer.
    func ip4Addresses(of name: String) async throws -> [[UInt8]]

    /// The IPv6 addresses of a name, sixteen bytes each; none when it has none.
    ///
    /// - Throws: when the lookup failed, which is something else than an empty answer.
    func ip6Addresses(of name: String) async throws -> [[UInt8]]

    /// The TXT records of a name, the strings of each joined; none when it has none.
    ///
    /// - Throws: when the lookup failed, which is something else than an empty answer.
    func textRecords(of name: String) async throws -> [[UInt8]]
}

/// How much work one resolution may cause.
public struct ResolutionLimits: Sendable, Hashable {
    /// How many lookups may follow from each other. Default 32, as in the other implementations.
    public var maximumDepth: Int
    /// The most addresses in the result; the rest is dropped. Default 100.
    public var maximumResults: Int
    /// The most names that are looked up, all branches together. Default 128.
    public var maximumLookups: Int

    /// Limits; values below 1 count as 1.
    public init(maximumDepth: Int = 32, maximumResults: Int = 100, maximumLookups: Int = 128) {
        self.maximumDepth = max(1, maximumDepth)
        self.maximumResults = max(1, maximumResults)
        self.maximumLookups = max(1, maximumLookups)
    }

    /// Depth 32, 100 results, 128 lookups.
    public static let defaults = ResolutionLimits()
}

extension NameResolver {
    /// Replaces every `dns`, `dns4`, `dns6` and `dnsaddr` component by what it stands for, until none is left.
    ///
    /// `dnsaddr` reads the TXT records `dnsaddr=ADDRESS` of `_dnsaddr.NAME`; when more components follow, such as
    /// `/p2p/ID`, only records that end in them count. What stands behind a `p2p-circuit` is not part of that
    /// comparison and is put back afterwards. Records that are no addresses are skipped.
    ///
    /// - Returns: addresses without names, each once, in the order in which they were found. An address without a name
    ///   is returned as it is.
    /// - Throws: ``MultiaddrError`` with `resolutionFailed` when nothing was found, with `resolutionLimit` when nothing was
    ///   found within the limits; `CancellationError`.
    public func resolve(
        _ address: Multiaddr,
        limits: ResolutionLimits = .defaults
    ) async throws -> [Multiaddr] {
        var results: [Multiaddr] = []
        var seen: Set<Multiaddr> = [address]
        var pending = [(address: address, depth: 0)]
        var next = 0
        var lookups = 0
        var limit: MultiaddrError?
        var failure: (any Error)?
        while next < pending.count, results.count < limits.maximumResults {
            let (current, depth) = pending[next]
            next += 1
            guard let question = NameQuestion(current) else {
                results.append(current)
                continue
            }
            guard depth < limits.maximumDepth else {
                limit = MultiaddrError(.resolutionLimit, "names led to names more than \(limits.maximumDepth) times")
                continue
            }
            guard lookups < limits.maximumLookups else {
                limit = MultiaddrError(.resolutionLimit, "more than \(limits.maximumLookups) names to look up")
                break
            }
            lookups += 1
            try Task.checkCancellation()
            do {
                for found in try await answer(question) where pending.count - next < limits.maximumResults {
                    if seen.insert(found).inserted { pending.append((found, depth + 1)) }
                }
            } catch {
                if error is CancellationError { throw error }
                failure = error
            }
        }
        if results.isEmpty {
            throw limit
                ?? MultiaddrError(
                    .resolutionFailed,
                    "the names in \(address) lead to no address",
                    cause: failure
                )
        }
        return results
    }

    private func answer(_ question: NameQuestion) async throws -> [Multiaddr] {
        guard question.name.utf8.count <= 253 else {
            throw MultiaddrError(.resolutionFailed, "a name of more than 253 bytes", component: question.proto.name)
        }
        switch question.proto {
        case .dns4:
            return question.addresses(.ip4, try await ip4Addresses(of: question.name))
        case .dns6:
            return question.addresses(.ip6, try await ip6Addresses(of: question.name))
        case .dnsaddr:
            return question.matching(try await textRecords(of: "_dnsaddr.\(question.name)"))
        default:
            return try await bothFamilies(question)
        }
    }

    /// One family that fails does not spoil the other.
    private func bothFamilies(_ question: NameQuestion) async throws -> [Multiaddr] {
        async let four = ip4Addresses(of: question.name)
        async let six = ip6Addresses(of: question.name)
        var failure: (any Error)?
        var found: [Multiaddr] = []
        do { found += question.addresses(.ip4, try await four) } catch { failure = error }
        do { found += question.addresses(.ip6, try await six) } catch { failure = error }
        try Task.checkCancellation()
        if let failure, found.isEmpty { throw failure }
        return found
    }
}
