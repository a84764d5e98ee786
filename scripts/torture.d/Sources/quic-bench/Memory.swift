import NetStream
import QuicCore
import QuicTransport
import TortureSupport

/// Resident memory of idle connections and idle streams.
enum Memory {
    static func print() async throws {
        var rows = [["configuration", "connections", "bytes per idle connection", "bytes per idle stream"]]
        for (name, configuration) in [
            ("default", QuicConfiguration.defaults), ("memoryConstrained", .memoryConstrained),
        ] {
            let figure = try await measure(configuration, connections: 1000)
            rows.append([name, "1000", "\(figure.connection)", "\(figure.stream)"])
        }
        printTable(rows)
    }

    /// Both ends are in this process, so what it grows by is halved.
    private static func measure(
        _ base: QuicConfiguration,
        connections count: Int
    ) async throws -> (connection: Int, stream: Int) {
        var configuration = base
        configuration.endpoint.maxConnections = count + 100
        configuration.timeouts.dial = .seconds(60)
        configuration.timeouts.inboundHandshake = .seconds(60)
        configuration.timeouts.idle = .seconds(600)
        configuration.timeouts.streamRead = .seconds(600)
        let loops = Loops()
        let service = try await Service(configuration, on: loops.server)
        let client = try loops.dialer(configuration)
        let address = try service.dialAddress()
        func open(_ count: Int) async throws -> [QuicConnection] {
            var connections: [QuicConnection] = []
            for _ in 0..<count {
                let connection = try await client.dialQuic(address)
                try await connection.echo()
                connections.append(connection)
            }
            return connections
        }
        // What is allocated once.
        let warm = try await open(20)
        let empty = ProcessUsage.now().resident
        let connections = try await open(count)
        let connected = ProcessUsage.now().resident
        var streams: [QuicStream] = []
        let each = 10
        for connection in connections {
            for _ in 0..<each {
                let stream = try await connection.openEcho()
                try await stream.exchange([1])
                streams.append(stream)
            }
        }
        let streaming = ProcessUsage.now().resident
        let result = (
            connection: (connected - empty) / count / 2,
            stream: (streaming - connected) / (count * each) / 2
        )
        for stream in streams { stream.reset(code: .none) }
        withExtendedLifetime((warm, connections)) {}
        await client.close()
        await service.close()
        try await loops.close()
        return result
    }
}
