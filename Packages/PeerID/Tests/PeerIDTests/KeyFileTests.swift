import Foundation
import PeerID
import Testing

@Suite struct KeyFileTests {
    /// A directory of its own for each test.
    func withDirectory(_ body: (String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("peerid-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: directory) }
        try body(directory.path)
    }

    func permissions(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    func contents(_ path: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(fileURLWithPath: path))) }

    @Test func savedKeysOfEveryTypeAreLoadedAgain() throws {
        try withDirectory { directory in
            let path = directory + "/key"
            for key in sampleKeys {
                try KeyFile.save(key, path: path)
                #expect(try KeyFile.load(path: path) { Issue.record("\($0)") } == key)
                #expect(try contents(path) == key.protobuf)
                #expect(try permissions(path) == 0o600)
                #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["key"])
            }
        }
    }

    @Test func aKeyIsMadeOnceAndFoundAgain() throws {
        try withDirectory { directory in
            let path = directory + "/key"
            #expect(code { try KeyFile.load(path: path) } == .fileNotFound)
            let key = try KeyFile.loadOrCreate(path: path)
            #expect(key.type == .ed25519)
            #expect(try permissions(path) == 0o600)
            #expect(try KeyFile.loadOrCreate(path: path) == key)
            let second = directory + "/second"
            let made = try KeyFile.loadOrCreate(path: second, makeKey: { () throws(PeerIDError) in try .secp256k1() })
            #expect(made.type == .secp256k1)
            #expect(try KeyFile.load(path: second) == made)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory).sorted() == ["key", "second"])
        }
    }

    @Test func everybodyWhoCreatesAtOnceGetsTheSameKey() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("peerid-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let keys = try await withThrowingTaskGroup(of: PeerID.self) { group in
            for _ in 0..<16 { group.addTask { try KeyFile.loadOrCreate(path: path).peerID } }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(keys.count == 1)
    }

    @Test func aFileThatOthersCanReadIsLoadedWithAWarning() throws {
        try withDirectory { directory in
            let path = directory + "/key"
            let key = try KeyFile.loadOrCreate(path: path)
            for mode in [0o644, 0o640, 0o602, 0o604, 0o777] {
                try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
                var warnings: [KeyFile.Warning] = []
                #expect(try KeyFile.load(path: path) { warnings.append($0) } == key)
                #expect(warnings.map(\.permissions) == [UInt32(mode)])
                #expect(warnings.map(\.path) == [path])
                #expect(warnings.allSatisfy { $0.description.contains("chmod 600") })
                warnings = []
                #expect(try KeyFile.loadOrCreate(path: path) { warnings.append($0) } == key)
                #expect(warnings.count == 1)
                #expect(try permissions(path) == mode, "loading changes nothing")
            }
            try KeyFile.save(key, path: path)
            #expect(try permissions(path) == 0o600)
        }
    }

    @Test func aDamagedFileIsAnErrorAndStaysAsItWas() throws {
        try withDirectory { directory in
            let path = directory + "/key"
            let key = PrivateKey.ed25519().protobuf
            let damaged: [[UInt8]] = [
                [], [0], Array(key.dropLast()), key + [0], Array("-----BEGIN PRIVATE KEY-----\n".utf8),
                [UInt8](repeating: 0, count: KeyFile.maximumSize + 1), PrivateKey.ed25519().publicKey.protobuf,
            ]
            for content in damaged {
                try Data(content).write(to: URL(fileURLWithPath: path))
                #expect(code { try KeyFile.load(path: path) } == .damagedFile)
                #expect(code { try KeyFile.loadOrCreate(path: path) } == .damagedFile)
                #expect(try contents(path) == content)
                let error = #expect(throws: PeerIDError.self) { try KeyFile.load(path: path) }
                #expect(error?.message.contains(path) == true)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["key"])
        }
    }

    @Test func symbolicLinksAreFollowed() throws {
        try withDirectory { directory in
            let (path, link) = (directory + "/key", directory + "/link")
            let old = try KeyFile.loadOrCreate(path: path)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
            #expect(try KeyFile.load(path: link) == old)
            let new = PrivateKey.ed25519()
            try KeyFile.save(new, path: link)
            #expect(try KeyFile.load(path: path) == new)
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == path)
        }
    }

    @Test func pathsThatCannotWorkAreClearErrors() throws {
        try withDirectory { directory in
            let key = PrivateKey.ed25519()
            #expect(code { try KeyFile.load(path: directory) } == .fileAccess)
            #expect(code { try KeyFile.load(path: "") } == .fileAccess)
            #expect(code { try KeyFile.load(path: directory + "/key\u{0}x") } == .fileAccess)
            #expect(code { try KeyFile.load(path: "/dev/null") } == .fileAccess)
            #expect(code { try KeyFile.save(key, path: directory) } == .fileAccess)
            #expect(code { try KeyFile.save(key, path: directory + "/none/key") } == .fileAccess)
            #expect(code { try KeyFile.loadOrCreate(path: directory + "/none/key") } == .fileAccess)
            let pipe = directory + "/pipe"
            #expect(mkfifo(pipe, 0o600) == 0)
            #expect(code { try KeyFile.load(path: pipe) } == .fileAccess)
            let left = try FileManager.default.contentsOfDirectory(atPath: directory)
            #expect(left == ["pipe"])
        }
    }
}
