import Libp2pTLS
import Multiaddr
import QuicCore
import QuicTransport
import TortureSupport
import UDPProxy

/// A service, a proxy in front of it, and somebody who dials through it.
struct Stage {
    let setting: Setting
    let service: Service
    let proxy: UDPProxy
    let client: QuicTransport
    /// Where to dial the service through the proxy.
    let address: Multiaddr
    /// The client's settings.
    let configuration: QuicConfiguration

    /// Builds it.
    ///
    /// - Parameters:
    ///   - configuration: The settings of both ends; `nil` for the patient ones. Silence ends a connection after 10 s, for
    ///     where the word of the close is lost.
    ///   - server: Those of the service, if they are others.
    ///   - tls: The client's.
    ///   - isEarly: Whether connections with early data are served before their handshake is done.
    init(
        _ setting: Setting,
        link: LinkConditions,
        configuration: QuicConfiguration? = nil,
        server: QuicConfiguration? = nil,
        tls: TLSConfiguration = .defaults,
        usesIPv6: Bool = false,
        isEarly: Bool = false,
        rebindingEvery rebinding: Duration? = nil
    ) async throws {
        self.setting = setting
        func impatient(_ configuration: QuicConfiguration) -> QuicConfiguration {
            var configuration = configuration
            configuration.timeouts.idle = .seconds(10)
            configuration.keepAliveInterval = .seconds(3)
            return configuration
        }
        self.configuration = impatient(configuration ?? setting.patient)
        let loops = setting.loops
        service = try await Service(
            server.map(impatient) ?? self.configuration,
            usesIPv6: usesIPv6,
            isEarly: isEarly,
            on: loops.server
        )
        proxy = try await loops.proxy(to: service, link, seed: setting.seed, rebindingEvery: rebinding)
        client = try loops.dialer(self.configuration, tls: tls)
        address = try service.dialAddress(by: proxy.address)
    }

    /// Another client with the same settings, who remembers nothing.
    func stranger(tls: TLSConfiguration = .defaults) throws -> QuicTransport {
        try setting.loops.dialer(configuration, tls: tls)
    }

    /// Ends everything, demands that nothing of it is left at the service, and says what became of the datagrams.
    func close(_ outcome: inout Outcome) async throws -> UDPProxyStatistics {
        await client.close()
        outcome.demand(try await Scenario.isEmpty(service, setting.loops), "connections or their IDs are left")
        let statistics = try await proxy.statistics()
        await service.close()
        try await proxy.close()
        return statistics
    }
}

/// Does something and says how long it took, in seconds.
func timed<Result>(_ body: () async throws -> Result) async rethrows -> (Result, Double) {
    let start = ContinuousClock.now
    let result = try await body()
    return (result, (ContinuousClock.now - start).inSeconds)
}
