/// How often per second an operation is done by `workers` tasks that each do it again and again for so long.
///
/// - Parameter place: Where they run: `taskExecutor` of the connection for work that is little more than the connection's own.
func perSecond(
    _ workers: Int,
    for seconds: Double,
    on place: (any TaskExecutor)? = nil,
    _ operation: @Sendable @escaping (_ worker: Int) async throws -> Void
) async throws -> Double {
    let start = ContinuousClock.now
    let end = start + .seconds(seconds)
    let count = try await withThrowingTaskGroup(of: Int.self) { group in
        for worker in 0..<workers {
            group.addTask(executorPreference: place) {
                var done = 0
                repeat {
                    try await operation(worker)
                    done += 1
                } while ContinuousClock.now < end
                return done
            }
        }
        return try await group.reduce(0, +)
    }
    return Double(count) / (ContinuousClock.now - start).inSeconds
}
