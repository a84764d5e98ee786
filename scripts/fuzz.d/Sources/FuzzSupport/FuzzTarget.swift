internal import CFuzzDriver

/// One thing to fuzz: a name for the command line, and what is done with an input. A broken promise stops the process,
/// which libFuzzer reports as a crash.
public struct FuzzTarget: Sendable {
    /// The name, which is also that of its folder in `Corpus`.
    public let name: String
    /// Runs one input.
    public let run: @Sendable ([UInt8]) -> Void

    /// A target.
    public init(_ name: String, _ run: @escaping @Sendable ([UInt8]) -> Void) {
        self.name = name
        self.run = run
    }
}

/// The promise of a target.
@inline(never)
public func promise(_ kept: Bool, _ text: StaticString) {
    precondition(kept, "a promise is broken: \(text)")
}

/// Starts libFuzzer with the command line's arguments, without the program's first own one.
///
/// - Parameter callback: called by libFuzzer with each input.
/// - Returns: the exit status.
public func runFuzzer(_ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32) -> Int32 {
    var count = CommandLine.argc - 1
    // libFuzzer may replace the array it is given, so it gets one of its own that lives as long as the process.
    let arguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: Int(CommandLine.argc))
    arguments[0] = CommandLine.unsafeArgv[0]
    for index in 1..<Int(CommandLine.argc) { arguments[index] = CommandLine.unsafeArgv[index + 1] }
    var start: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = arguments
    return LLVMFuzzerRunDriver(&count, &start, callback)
}

/// The target that the command line names, or the end of the process with a list of them all.
public func chosenTarget(of targets: [FuzzTarget]) -> FuzzTarget {
    if CommandLine.arguments.count > 1 {
        for target in targets where target.name == CommandLine.arguments[1] { return target }
    }
    preconditionFailure("usage: PROGRAM TARGET [LIBFUZZER-OPTIONS…], with TARGET of \(targets.map(\.name))")
}
