import FuzzSupport
import Glibc

enum Chosen {
    static let target = chosenTarget(of: targets)
}

/// libFuzzer's other way in; the linker wants it.
@_cdecl("LLVMFuzzerTestOneInput")
func fuzzerTestOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    Chosen.target.run([UInt8](UnsafeBufferPointer(start: data, count: size)))
    return 0
}

exit(runFuzzer(fuzzerTestOneInput))
