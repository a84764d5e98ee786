import CNgtcp2Shims
import Testing

@testable import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// GnuTLS and ipsec-mb behind the callbacks that protect packets. Where ipsec-mb is not installed, GnuTLS alone.
@Suite(.timeLimit(.minutes(2))) struct PacketProtectionTests {
    private func bytes(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    // MARK: RFC 9001, appendix A

    /// The first packets of RFC 9001 A.2 and A.3, sealed, masked, and opened again.
    @Test(arguments: usableProtections.map(\.rawValue))
    func initialsOfTheStandardAreSealedAndOpened(_ kind: UInt32) throws {
        let vectors = try #require(QuicVectors.all).initialProtection
        for (packet, material) in [(vectors.clientInitial, vectors.client), (vectors.serverInitial, vectors.server)] {
            let keys = try #require(
                PacketKeys(lp2p_protection(kind), key: hexBytes(material.key), headerKey: hexBytes(material.hp))
            )
            var payload = hexBytes(packet.payload ?? packet.cryptoFrame ?? "")
            payload += [UInt8](repeating: 0, count: (packet.plainPayloadLength ?? payload.count) - payload.count)
            var nonce = hexBytes(material.iv)
            nonce[11] ^= packet.packetNumber
            let header = hexBytes(packet.unprotectedHeader)
            let sealed = try #require(keys.seal(payload, nonce: nonce, associated: header))

            // RFC 9001 §5.4: the sample begins four bytes after the packet number does.
            let numberLength = Int(header[0] & 3) + 1
            let mask = try #require(keys.mask(Array(sealed[(4 - numberLength)...].prefix(16))))
            var protected = header
            protected[0] ^= mask[0] & 0x0f
            for index in 0..<numberLength { protected[header.count - numberLength + index] ^= mask[1 + index] }
            #expect(hex(protected + sealed) == packet.protectedPacket)
            #expect(keys.open(sealed, nonce: nonce, associated: header).plaintext == payload)
        }
    }

    private func hexBytes(_ text: String) -> [UInt8] { QuicCoreTests.bytes(text) }

    // MARK: against each other

    @Test(.enabled(if: usableProtections.count == 2), arguments: propertySeeds(2, "PacketProtectionTests"))
    func bothSealAlikeAndRefuseWhatIsAltered(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            let length = Bool.random(using: &generator) ? 16 : 32
            let key = bytes(length, &generator)
            let headerKey = bytes(length, &generator)
            let gnutls = try #require(PacketKeys(LP2P_PROTECTION_GNUTLS, key: key, headerKey: headerKey))
            let ipsec = try #require(PacketKeys(LP2P_PROTECTION_IPSEC_MB, key: key, headerKey: headerKey))
            for _ in 0..<100 {
                let payload = bytes(.random(in: 0...1500, using: &generator), &generator)
                let associated = bytes(.random(in: 0...60, using: &generator), &generator)
                let nonce = bytes(12, &generator)
                let sealed = try #require(gnutls.seal(payload, nonce: nonce, associated: associated))
                try #require(ipsec.seal(payload, nonce: nonce, associated: associated) == sealed)
                try #require(gnutls.open(sealed, nonce: nonce, associated: associated).plaintext == payload)
                try #require(ipsec.open(sealed, nonce: nonce, associated: associated).plaintext == payload)
                let sample = bytes(16, &generator)
                try #require(gnutls.mask(sample) == ipsec.mask(sample))

                var altered = (sealed: sealed, nonce: nonce, associated: associated)
                let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: altered.sealed[.random(in: payload.count..<sealed.count, using: &generator)] ^= bit
                case 1: altered.sealed[.random(in: 0..<sealed.count, using: &generator)] ^= bit
                case 2 where !associated.isEmpty:
                    altered.associated[.random(in: 0..<associated.count, using: &generator)] ^= bit
                default: altered.nonce[.random(in: 0..<12, using: &generator)] ^= bit
                }
                for keys in [gnutls, ipsec] {
                    let (plaintext, _) = keys.open(
                        altered.sealed,
                        nonce: altered.nonce,
                        associated: altered.associated
                    )
                    try #require(plaintext == nil)
                }
            }
        }
    }

    @Test(arguments: usableProtections.map(\.rawValue))
    func whatIsTooShortForATagIsRefused(_ kind: UInt32) throws {
        let key = [UInt8](repeating: 1, count: 16)
        let keys = try #require(PacketKeys(lp2p_protection(kind), key: key, headerKey: key))
        for count in 0..<16 {
            let sealed = [UInt8](repeating: 0, count: count)
            #expect(keys.open(sealed, nonce: Array(key[..<12]), associated: key).plaintext == nil)
        }
        let empty = try #require(keys.seal([], nonce: Array(key[..<12]), associated: []))
        #expect(empty.count == 16)
        #expect(keys.open(empty, nonce: Array(key[..<12]), associated: []).plaintext == [])
    }

    @Test(.enabled(if: usableProtections.count == 2))
    func nothingIsLeftOfAPacketThatDoesNotOpen() throws {
        let key = [UInt8](repeating: 9, count: 32)
        let keys = try #require(PacketKeys(LP2P_PROTECTION_IPSEC_MB, key: key, headerKey: key))
        var sealed = try #require(
            keys.seal([UInt8](repeating: 0x41, count: 700), nonce: Array(key[..<12]), associated: [])
        )
        sealed[715] ^= 1
        let (plaintext, left) = keys.open(sealed, nonce: Array(key[..<12]), associated: [])
        #expect(plaintext == nil)
        #expect(left == [UInt8](repeating: 0, count: 700))
    }

    @Test(.enabled(if: usableProtections.count == 2))
    func aKeyInReserveIsSmallUntilItsFirstPacket() throws {
        let key = [UInt8](repeating: 5, count: 16)
        let keys = try #require(PacketKeys(LP2P_PROTECTION_IPSEC_MB, key: key, headerKey: key))
        #expect(keys.expandedBytes == 0)
        _ = keys.seal([1], nonce: Array(key[..<12]), associated: [])
        #expect((500...1100).contains(keys.expandedBytes))
    }

    @Test func otherKeysThanOfAESAreRefused() {
        for count in [0, 1, 15, 24, 33] {
            let key = [UInt8](repeating: 1, count: count)
            for kind in usableProtections { #expect(PacketKeys(kind, key: key, headerKey: key) == nil) }
        }
    }

    // MARK: memory

    /// Packets at the end of a page that nothing may be read or written behind, sealed and opened in place.
    @Test(arguments: usableProtections.map(\.rawValue))
    func nothingBeyondThePacketIsTouched(_ kind: UInt32) throws {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let size = 2 * page
        let mapped = mmap(nil, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        let memory = try #require(mapped)
        try #require(memory != MAP_FAILED)
        defer { munmap(memory, size + page) }
        try #require(mprotect(memory + size, page, PROT_NONE) == 0)
        let end = (memory + size).assumingMemoryBound(to: UInt8.self)

        var generator = SeededGenerator(seed: 0x9a6e)
        let key = bytes(16, &generator)
        let nonce = bytes(12, &generator)
        let associated = bytes(21, &generator)
        let keys = try #require(PacketKeys(lp2p_protection(kind), key: key, headerKey: key))
        for count in Array(0...600) + Array(1180...1500) {
            let payload = bytes(count, &generator)
            let packet = end - (count + 16)
            // What stands before the packet must stay too.
            packet[-1] = 0x5a
            payload.withUnsafeBufferPointer { source in
                if let base = source.baseAddress { packet.update(from: base, count: count) }
            }
            try #require(keys.sealInPlace(packet, count: count, nonce: nonce, associated: associated))
            try #require(
                keys.seal(payload, nonce: nonce, associated: associated)
                    == Array(UnsafeBufferPointer(start: packet, count: count + 16))
            )
            try #require(keys.openInPlace(packet, count: count + 16, nonce: nonce, associated: associated))
            try #require(Array(UnsafeBufferPointer(start: packet, count: count)) == payload)
            try #require(packet[-1] == 0x5a)
        }
        // Header, nonce and key of lengths that are no multiple of a register, read from the end of a page.
        for count in 0...64 {
            let header = end - count
            for index in 0..<count { header[index] = UInt8(index) }
            var sealed = [UInt8](repeating: 0, count: 32)
            let pointer = try #require(lp2p_packet_keys_new(lp2p_protection(kind), key, key, 16))
            defer { lp2p_packet_keys_delete(pointer) }
            try #require(lp2p_packet_keys_seal(pointer, &sealed, nonce, 12, nonce, header, count) == 0)
            try #require(lp2p_packet_keys_open(pointer, &sealed, sealed, 28, nonce, header, count) == 0)
            if count >= 12 {
                try #require(lp2p_packet_keys_seal(pointer, &sealed, nonce, 12, end - 12, key, 16) == 0)
            }
            if count >= 16 { try #require(lp2p_packet_keys_mask(pointer, &sealed, end - 16) == 0) }
        }
    }
}
