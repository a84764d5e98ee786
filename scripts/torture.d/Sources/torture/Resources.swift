import CSendFaults
import Glibc
import Multiaddr
import NetStream
import QuicCore
import QuicTransport
import TortureSupport

extension Scenario {
    static let resources = [
        Scenario(
            name: "churn",
            threshold:
                "10,000 connections opened and closed, again and again: descriptors, threads, tasks, connections and their "
                + "IDs as before, the heap at most 256 KiB more for each 10,000, resident memory at most 16 MiB",
            run: churn
        ),
        Scenario(
            name: "descriptors",
            threshold: "with no descriptor left (EMFILE), what needs one fails and the rest goes on",
            run: descriptors
        ),
        Scenario(
            name: "buffers",
            threshold:
                "8 MiB arrive though every 7th send fails with ENOBUFS, and with EAGAIN, within 60 s; "
                + "at most 20 packets seem lost",
            run: buffers
        ),
    ]

    private static func churn(_ setting: Setting) async throws -> Outcome {
        let loops = setting.loops
        let service = try await Service(setting.patient, on: loops.server)
        let client = try loops.dialer(setting.patient)
        let address = try service.dialAddress()
        func open(_ count: Int) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<count {
                    if index >= 8 { try await group.next() }
                    group.addTask {
                        let connection = try await client.dialQuic(address)
                        if index.isMultiple(of: 5) { try await connection.echo() }
                        await connection.close(code: .none, reason: "")
                    }
                }
                try await group.waitForAll()
            }
        }
        /// What is left once the last of them is forgotten.
        func rest(_ outcome: inout Outcome) async throws -> ProcessUsage {
            outcome.demand(try await isEmpty(service, loops), "the listener has connections left")
            let dialed = try await loops.wait(atMost: .seconds(30)) { await client.statistics().active == 0 }
            outcome.demand(dialed, "the dialer has connections left")
            outcome.demand(
                try await loops.wait(atMost: .seconds(10)) { service.taskCount == 0 },
                "\(service.taskCount) tasks stay"
            )
            for counts in [await service.listener.statistics(), await client.statistics()] {
                outcome.demand(counts.connectionIDs == 0, "\(counts.connectionIDs) connection IDs are left")
            }
            return try await loops.restingUsage()
        }
        // Caches and pools fill meanwhile, some in the second round yet; what leaks, leaks in each round.
        let total = 10_000 / setting.divisor
        var outcome = Outcome()
        try await open(total)
        let before = try await rest(&outcome)
        var (after, growths, heap) = (before, [Int](), before.heap)
        for _ in 0..<2 {
            let start = ContinuousClock.now
            try await open(total)
            outcome.figures.append((ContinuousClock.now - start).inSeconds)
            after = try await rest(&outcome)
            growths.append(after.heap - heap)
            heap = after.heap
        }
        let growth = growths.min() ?? 0
        outcome.demand(
            after.descriptors == before.descriptors,
            "descriptors: \(before.descriptors), \(after.descriptors)"
        )
        outcome.demand(after.threads <= before.threads, "threads: \(before.threads), \(after.threads)")
        outcome.demand(growth <= 256 << 10, "the heap grew by \(growth) bytes")
        let resident = Double(after.resident - before.resident) / 1_048_576
        outcome.demand(resident <= 16, "resident memory grew by \(fixed(resident, 1)) MiB")
        outcome.note =
            "3 times \(total) connections, \(fixed(Double(total) / outcome.figures.median, 0)) a second; "
            + "\(after.descriptors) descriptors, \(after.threads) threads, \(service.taskCount) tasks, heap "
            + "\(growths.map(String.init).joined(separator: " and ")) bytes more, resident "
            + "\(fixed(Double(before.resident) / 1_048_576, 1)) to \(fixed(Double(after.resident) / 1_048_576, 1)) MiB"
        await client.close()
        await service.close()
        return outcome
    }

    private static func descriptors(_ setting: Setting) async throws -> Outcome {
        let loops = setting.loops
        let service = try await Service(setting.patient, on: loops.server)
        let client = try loops.dialer(setting.patient)
        let connection = try await client.dialQuic(try service.dialAddress())
        try await connection.echo()
        var outcome = Outcome()
        // One that opens /proc/self/fd to count is the only one that is free now.
        ProcessUsage.limitDescriptors(to: 1)
        do {
            try await freshClient(of: service, loops, setting.patient)
            outcome.failures.append("a new socket could be opened")
        } catch let error as QuicError {
            outcome.note = "a new socket: \(error.code); "
        }
        do {
            _ = try await service.transport.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
            outcome.failures.append("a new listener could be opened")
        } catch {
            outcome.note += "a new listener: \(error.code); "
        }
        do {
            try await connection.migrate()
            outcome.failures.append("a connection could move to a new socket")
        } catch {
            outcome.note += "a move: \(error.code); "
        }
        // What needs no descriptor goes on.
        try await connection.echo()
        try await connection.upload(1 << 20)
        let another = try await client.dialQuic(try service.dialAddress())
        try await another.echo()
        ProcessUsage.limitDescriptors(to: 1024)
        try await freshClient(of: service, loops, setting.patient)
        outcome.note += "old and new connections of open sockets work"
        await client.close()
        await service.close()
        return outcome
    }

    private static func buffers(_ setting: Setting) async throws -> Outcome {
        let loops = setting.loops
        let service = try await Service(setting.patient, on: loops.server)
        let client = try loops.dialer(setting.patient)
        var outcome = Outcome()
        var faults = 0
        for (name, code) in [("ENOBUFS", ENOBUFS), ("EAGAIN", EAGAIN)] {
            send_faults_set(7, code)
            let start = ContinuousClock.now
            let connection = try await client.dialQuic(try service.dialAddress())
            try await connection.upload(8 << 20)
            try await connection.download(8 << 20)
            let time = (ContinuousClock.now - start).inSeconds
            let lost = await connection.statistics()?.path.lostPackets ?? 0
            await connection.close(code: .none, reason: "")
            send_faults_set(0, 0)
            // What could not be sent is sent later. One or the other packet may seem lost meanwhile.
            outcome.demand(lost <= 20, "\(name): \(lost) packets were lost")
            outcome.note += "\(name): \(lost) lost, "
            outcome.figures.append(time)
            outcome.demand(time <= 60, "\(name): \(fixed(time)) s")
            outcome.demand(send_faults_count() > faults + 20, "\(name): hardly a send failed")
            outcome.note += "\(name) \(send_faults_count() - faults) times, "
            faults = send_faults_count()
        }
        try await freshClient(of: service, loops, setting.patient)
        outcome.note += "8 MiB up and down each"
        await client.close()
        await service.close()
        return outcome
    }
}
