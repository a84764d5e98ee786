/// The DER of the tests: written by hand, apart from SwiftASN1 which the package itself uses, and able to be wrong.
enum TestDER {
    static func node(_ tag: UInt8, _ content: [UInt8]...) -> [UInt8] {
        let content = content.flatMap { $0 }
        return [tag] + length(content.count) + content
    }

    static func length(_ count: Int) -> [UInt8] {
        if count < 128 { return [UInt8(count)] }
        var bytes: [UInt8] = []
        var rest = count
        while rest > 0 {
            bytes.insert(UInt8(rest & 255), at: 0)
            rest >>= 8
        }
        return [0x80 | UInt8(bytes.count)] + bytes
    }

    static func sequence(_ content: [UInt8]...) -> [UInt8] { node(0x30, content.flatMap { $0 }) }
    static func octets(_ content: [UInt8]) -> [UInt8] { node(0x04, content) }
    static func bits(_ content: [UInt8]) -> [UInt8] { node(0x03, [0] + content) }
    static func utcTime(_ text: String) -> [UInt8] { node(0x17, Array(text.utf8)) }
    static func generalizedTime(_ text: String) -> [UInt8] { node(0x18, Array(text.utf8)) }

    static func oid(_ dotted: String) -> [UInt8] {
        let parts = dotted.split(separator: ".").compactMap { Int($0) }
        var content = [UInt8(parts[0] * 40 + parts[1])]
        for part in parts.dropFirst(2) {
            var groups = [UInt8(part & 127)]
            var rest = part >> 7
            while rest > 0 {
                groups.insert(UInt8(rest & 127) | 128, at: 0)
                rest >>= 7
            }
            content += groups
        }
        return node(0x06, content)
    }
}
