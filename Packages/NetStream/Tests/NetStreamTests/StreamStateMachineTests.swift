import NetStream
import NetStreamTesting
import Testing

/// What each operation may do in each state, cell by cell, written out independently of the implementation.
enum Ledger {
    typealias Refusal = StreamStateMachine.Refusal

    enum Cell: Equatable {
        case works
        case noOp
        case moves(StreamState)
        case refused(Refusal)
    }

    static let rows: [StreamOperation: [StreamState: Cell]] = [
        .read: [
            .initial: .refused(.notEstablished), .open: .works, .closedRead: .refused(.endOfStream),
            .closedWrite: .works, .closedBoth: .refused(.endOfStream), .reset: .refused(.reset),
            .failed: .refused(.failed),
        ],
        .write: [
            .initial: .refused(.notEstablished), .open: .works, .closedRead: .works,
            .closedWrite: .refused(.writeClosed), .closedBoth: .refused(.writeClosed), .reset: .refused(.reset),
            .failed: .refused(.failed),
        ],
        .closeRead: [
            .initial: .refused(.notEstablished), .open: .moves(.closedRead), .closedRead: .noOp,
            .closedWrite: .moves(.closedBoth), .closedBoth: .noOp, .reset: .refused(.reset),
            .failed: .refused(.failed),
        ],
        .closeWrite: [
            .initial: .refused(.notEstablished), .open: .moves(.closedWrite), .closedRead: .moves(.closedBoth),
            .closedWrite: .noOp, .closedBoth: .noOp, .reset: .refused(.reset), .failed: .refused(.failed),
        ],
        .close: [
            .initial: .refused(.notEstablished), .open: .moves(.closedBoth), .closedRead: .moves(.closedBoth),
            .closedWrite: .moves(.closedBoth), .closedBoth: .noOp, .reset: .refused(.reset),
            .failed: .refused(.failed),
        ],
        .reset: [
            .initial: .moves(.reset), .open: .moves(.reset), .closedRead: .moves(.reset),
            .closedWrite: .moves(.reset), .closedBoth: .moves(.reset), .reset: .noOp, .failed: .noOp,
        ],
    ]

    static var cells: [(StreamState, StreamOperation)] {
        StreamState.allCases.flatMap { state in StreamOperation.allCases.map { (state, $0) } }
    }

    /// The events that bring a fresh machine into a state.
    static func path(to state: StreamState) -> [StreamStateMachine.Event] {
        switch state {
        case .initial: []
        case .open: [.establish]
        case .closedRead: [.establish, .readEnded]
        case .closedWrite: [.establish, .writeEnded]
        case .closedBoth: [.establish, .readEnded, .writeEnded]
        case .reset: [.establish, .reset]
        case .failed: [.establish, .fail]
        }
    }
}

@Suite struct StreamStateMachineTests {
    func machine(in state: StreamState) -> StreamStateMachine {
        var machine = StreamStateMachine()
        for event in Ledger.path(to: state) { _ = machine.apply(event) }
        #expect(machine.state == state)
        return machine
    }

    @Test(arguments: Ledger.cells)
    func permissionIsWhatTheLedgerSays(_ state: StreamState, _ operation: StreamOperation) throws {
        let cell = try #require(Ledger.rows[operation]?[state])
        let permission = machine(in: state).permission(for: operation)
        switch cell {
        case .works, .moves: #expect(permission == .proceed)
        case .noOp: #expect(permission == .nothingToDo)
        case .refused(let refusal): #expect(permission == .refuse(refusal))
        }
    }

    @Test(arguments: [
        (StreamState.initial, StreamStateMachine.Event.readEnded), (.initial, .writeEnded),
        (.open, .establish), (.closedRead, .establish), (.closedWrite, .establish), (.closedBoth, .establish),
        (.reset, .establish), (.failed, .establish),
    ])
    func impossibleEventsAreRefused(_ state: StreamState, _ event: StreamStateMachine.Event) {
        var machine = machine(in: state)
        #expect(machine.apply(event) == .refused)
        #expect(machine.state == state)
    }

    @Test(arguments: [StreamState.reset, .failed])
    func terminalStatesKeepEverythingOut(_ state: StreamState) {
        for event in StreamStateMachine.Event.allCases where event != .establish {
            var machine = machine(in: state)
            #expect(machine.apply(event) == .none)
            #expect(machine.state == state)
        }
    }

    @Test func bothClosedAllowsOnlyResetAndFailure() {
        for event in StreamStateMachine.Event.allCases {
            var machine = machine(in: .closedBoth)
            _ = machine.apply(event)
            switch event {
            case .reset: #expect(machine.state == .reset)
            case .fail: #expect(machine.state == .failed)
            default: #expect(machine.state == .closedBoth)
            }
        }
    }

    /// A model that knows only two flags and how the stream ended.
    struct Model {
        var isEstablished = false
        var canRead = true
        var canWrite = true
        var terminal: StreamState?

        var state: StreamState {
            if let terminal { return terminal }
            guard isEstablished else { return .initial }
            switch (canRead, canWrite) {
            case (true, true): return .open
            case (false, true): return .closedRead
            case (true, false): return .closedWrite
            case (false, false): return .closedBoth
            }
        }

        mutating func apply(_ event: StreamStateMachine.Event) {
            guard terminal == nil else { return }
            switch event {
            case .establish: isEstablished = true
            case .readEnded: if isEstablished { canRead = false }
            case .writeEnded: if isEstablished { canWrite = false }
            case .reset: terminal = .reset
            case .fail: terminal = .failed
            }
        }
    }

    @Test func randomEventsAgreeWithTheModelAndReleaseOnce() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            var machine = StreamStateMachine()
            var model = Model()
            var releases = 0
            for _ in 0..<20 {
                // Ends are rare, so that the sequences get somewhere.
                let events: [StreamStateMachine.Event] =
                    [.establish, .establish, .readEnded, .writeEnded, .readEnded, .writeEnded]
                    + (Int.random(in: 0..<4, using: &random) == 0 ? [.reset, .fail] : [])
                guard let event = events.randomElement(using: &random) else { continue }
                if machine.apply(event) == .release { releases += 1 }
                model.apply(event)
                #expect(machine.state == model.state, "seed \(seed)")
                #expect(releases == (model.state.isEnd ? 1 : 0), "seed \(seed)")
            }
        }
    }
}
