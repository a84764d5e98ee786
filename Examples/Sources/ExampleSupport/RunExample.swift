public import ArgumentParser

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A failure the user sees as one line on standard error.
public struct ExampleError: Error, CustomStringConvertible {
    /// What went wrong and what to do about it, in one line.
    public var description: String

    /// Makes an error that says `description`.
    public init(_ description: String) {
        self.description = description
    }
}

/// Runs a command and leaves the process: status 0 when it is done, 1 when it failed at run time,
/// 2 for bad arguments, each failure with one clear line on standard error.
public func runExample<Command: AsyncParsableCommand>(_ type: Command.Type) async -> Never {
    // A reader of our output that goes away is an error of that write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    do {
        var command = try Command.parseAsRoot()
        guard Swift.type(of: command).configuration.subcommands.isEmpty else {
            complain("what should it do? (see --help)")
            exit(2)
        }
        if var asynchronous = command as? any AsyncParsableCommand {
            try await asynchronous.run()
        } else {
            try command.run()
        }
        exit(0)
    } catch {
        switch Command.exitCode(for: error) {
        case .success:
            Output.line(Command.fullMessage(for: error))
            exit(0)
        case .validationFailure:
            complain(withoutPreamble(oneLine(Command.message(for: error))) + " (see --help)")
            exit(2)
        default:
            complain(oneLine(describe(error)))
            exit(1)
        }
    }
}

/// Prints `text` on standard error, after the program's name.
public func complain(_ text: String) {
    let name = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "example"
    Output.write(Array("\(name): \(text)\n".utf8), to: STDERR_FILENO)
}

/// Our own messages name the value themselves; ArgumentParser says it again in front of them.
private func withoutPreamble(_ text: String) -> String {
    guard text.hasPrefix("The value '"), let invalid = text.firstRange(of: "' is invalid for '"),
        let end = text[invalid.upperBound...].firstRange(of: "': ")
    else { return text }
    return String(text[end.upperBound...])
}

private func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix(while: \.isWhitespace) }.joined(separator: " ")
}
