import NetStreamTesting
import QuicCore
import Synchronization
import Testing

@testable import QuicTransport

/// A stream of the model: the sending half, and what the loop would do with it.
private final class ModelStream: SendMemoryWaiter {
    struct State {
        var half: OutboundHalf<UInt64>
        /// Writers that were resumed and have not run since.
        var runnable: [UInt64] = []
        /// What is on its way to the peer.
        var flight: [OutboundSegment] = []
    }

    let state: Mutex<State>

    init(memory: SendMemory, high: Int) {
        state = Mutex(State(half: OutboundHalf(highWater: high, lowWater: high / 2, memory: memory)))
    }

    func memoryGranted(_ bytes: Int, for ticket: SendMemory.Ticket) {
        state.withLock { state in
            if let id = state.half.memoryGranted(bytes, for: ticket) { state.runnable.append(id) }
        }
    }
}

/// Random writers, acknowledgements, cancellations and resets of many streams over one send memory.
@Suite struct SendMemoryModelTests {
    @Test(arguments: 0..<60) func nobodyStarvesAndAllMemoryComesBack(round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        print("nobodyStarvesAndAllMemoryComesBack \(round) seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let limit = (64 << 10) + Int(random.next() % (512 << 10))
        let isWoken = Shared(false)
        let memory = SendMemory(pool: SendChunkPool(), limit: limit, wakeLoop: { isWoken.withLock { $0 = true } })
        func make() -> ModelStream { ModelStream(memory: memory, high: 4096 << Int(random.next() % 6)) }
        var streams = (0..<8).map { _ in make() }
        /// The bytes that each writer has left.
        var left: [UInt64: Int] = [:]
        var waiting: [UInt64: ModelStream] = [:]
        var nextID: UInt64 = 0
        var lastServed: SendMemory.Ticket = 0

        func run(_ id: UInt64, on stream: ModelStream) {
            waiting[id] = nil
            let count = left[id] ?? 0
            let rest = stream.state.withLock { state -> Int? in
                switch state.half.takeTurn(id: id) {
                case .failed: return nil
                case .wait: break
                case .proceed:
                    let done = state.half.append([UInt8](repeating: 1, count: count), from: 0)
                    guard done < count else {
                        if let next = state.half.endTurn(id: id) { state.runnable.append(next) }
                        return nil
                    }
                    state.half.wait(id: id, waiter: id)
                    state.half.standInLine(stream)
                    if let next = state.half.advance() { state.runnable.append(next) }
                    return count - done
                }
                state.half.wait(id: id, waiter: id)
                return count
            }
            left[id] = rest
            if rest != nil { waiting[id] = stream }
        }
        func runOne(of stream: ModelStream) -> Bool {
            let id = stream.state.withLock { $0.runnable.isEmpty ? nil : $0.runnable.removeFirst() }
            guard let id else { return false }
            run(id, on: stream)
            return true
        }
        func acknowledge(_ stream: ModelStream, _ most: Int) {
            stream.state.withLock { state in
                let count = min(most, state.flight.count)
                let bytes = state.flight[..<count].reduce(0) { $0 + $1.count }
                state.flight.removeFirst(count)
                if bytes > 0, let next = state.half.freed(bytes) { state.runnable.append(next) }
            }
        }
        func turn() {
            for stream in streams { stream.state.withLock { state in _ = state.half.take(into: &state.flight) } }
        }
        func serve() {
            isWoken.withLock { $0 = false }
            while let (waiter, bytes, ticket) = memory.next() {
                #expect(ticket > lastServed, "in the order they came")
                lastServed = ticket
                waiter.memoryGranted(bytes, for: ticket)
            }
        }

        for step in 0..<600 {
            let stream = streams[Int(random.next() % UInt64(streams.count))]
            switch random.next() % 20 {
            case 0..<6:
                nextID += 1
                left[nextID] = 1 + Int(random.next() % (random.next() % 2 == 0 ? 5000 : 100_000))
                run(nextID, on: stream)
            case 6..<8:
                let count = 1 + Int(random.next() % 30_000)
                stream.state.withLock { state in
                    guard state.half.reserve(count) else { return }
                    let done = state.half.append([UInt8](repeating: 2, count: count), from: 0)
                    #expect(done == count)
                }
            case 8..<12: _ = runOne(of: stream)
            case 12..<14: turn()
            case 14..<17: acknowledge(stream, Int(random.next() % 4))
            case 17:
                guard let (id, stream) = waiting.min(by: { $0.key < $1.key }) else { break }
                let isCancelled = stream.state.withLock { state in
                    let (cancelled, next) = state.half.cancel(id: id)
                    if let next { state.runnable.append(next) }
                    return cancelled != nil
                }
                guard isCancelled else { break }
                waiting[id] = nil
                left[id] = nil
            case 18:
                guard let index = streams.indices.randomElement(using: &random) else { break }
                let released = streams[index].state.withLock { state in
                    state.flight = []
                    return state.half.fail(.streamReset(code: 1, byPeer: false)) + state.runnable
                }
                for id in released {
                    waiting[id] = nil
                    left[id] = nil
                }
                streams[index] = make()
            default: if isWoken.withLock({ $0 }) { serve() }
            }
            // A stream of which nothing is on its way gets a small chunk beyond it; one that was reset takes it along.
            #expect(memory.used <= limit + streams.count * SendChunkPool.smallChunkSize)
            guard step % 150 == 149 else { continue }
            // The peer acknowledges everything: all who wait are served, though the loop comes only when it is woken.
            for _ in 0..<100_000 {
                turn()
                var isBusy = false
                for stream in streams {
                    acknowledge(stream, .max)
                    while runOne(of: stream) { isBusy = true }
                }
                if isWoken.withLock({ $0 }) {
                    serve()
                    isBusy = true
                }
                if !isBusy, streams.allSatisfy({ $0.state.withLock { $0.half.outstanding == 0 } }) { break }
            }
            #expect(waiting.isEmpty && left.isEmpty && memory.waiting == 0)
            #expect(memory.used == 0)
        }
    }
}
