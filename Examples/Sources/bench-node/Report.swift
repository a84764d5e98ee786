#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Prints figures as one line of JSON, as scripts/bench reads them. The names have no characters that need escaping.
func say(_ figures: [String: Double]) {
    let members = figures.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }
    put("{\"figures\": {\(members.joined(separator: ", "))}}\n", to: STDOUT_FILENO)
}

/// Prints a line on standard output, which the other side of the pipe gets at once.
func say(_ line: String) { put(line + "\n", to: STDOUT_FILENO) }

/// Prints a line for people.
func complain(_ line: String) { put("bench-node: \(line)\n", to: STDERR_FILENO) }

private func put(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    // A reader that is gone has no use for it.
    _ = write(descriptor, bytes, bytes.count)
}

/// Waits until standard input has a line or ends, on a thread of its own.
func waitForLine() async {
    await withCheckedContinuation { continuation in
        // Retained for the thread, which takes that over once, in readLineAndResume. Where there is no thread nobody else has
        // the pointer, and it is taken back here: so it is released exactly once.
        let box = Unmanaged.passRetained(Waiter(continuation))
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, readLineAndResume, box.toOpaque())
        guard status == 0 else { return box.takeRetainedValue().continuation.resume() }
        pthread_detach(thread)
    }
}

private final class Waiter: Sendable {
    let continuation: CheckedContinuation<Void, Never>

    init(_ continuation: CheckedContinuation<Void, Never>) { self.continuation = continuation }
}

private func readLineAndResume(_ box: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let box else { return nil }
    // The pointer that waitForLine() has retained for this thread alone.
    let waiter = Unmanaged<Waiter>.fromOpaque(box).takeRetainedValue()
    _ = readLine()
    waiter.continuation.resume()
    return nil
}

extension Duration {
    var inSeconds: Double { self / .seconds(1) }
}

/// The value below which `share` of the numbers are.
func quantile(_ numbers: [Double], _ share: Double) -> Double {
    let sorted = numbers.sorted()
    guard !sorted.isEmpty else { return .nan }
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}
