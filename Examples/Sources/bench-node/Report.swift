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

/// A line of `descriptor`, without its end, or nil when there is none any more. Waits on a thread of its own.
@discardableResult
func readLine(from descriptor: Int32 = STDIN_FILENO) async -> String? {
    await withCheckedContinuation { continuation in
        // Retained for the thread, which takes that over once, in readLineAndResume. Where there is no thread nobody else has
        // the pointer, and it is taken back here: so it is released exactly once.
        let box = Unmanaged.passRetained(Waiter(continuation, descriptor))
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, readLineAndResume, box.toOpaque())
        guard status == 0 else { return box.takeRetainedValue().continuation.resume(returning: nil) }
        pthread_detach(thread)
    }
}

private final class Waiter: Sendable {
    let continuation: CheckedContinuation<String?, Never>
    let descriptor: Int32

    init(_ continuation: CheckedContinuation<String?, Never>, _ descriptor: Int32) {
        (self.continuation, self.descriptor) = (continuation, descriptor)
    }
}

private func readLineAndResume(_ box: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let box else { return nil }
    // The pointer that readLine(from:) has retained for this thread alone.
    let waiter = Unmanaged<Waiter>.fromOpaque(box).takeRetainedValue()
    var (line, byte): ([UInt8], UInt8) = ([], 0)
    while read(waiter.descriptor, &byte, 1) == 1 {
        if byte == UInt8(ascii: "\n") {
            waiter.continuation.resume(returning: String(decoding: line, as: UTF8.self))
            return nil
        }
        line.append(byte)
    }
    waiter.continuation.resume(returning: nil)
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
