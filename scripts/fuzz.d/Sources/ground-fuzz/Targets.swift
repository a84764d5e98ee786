import FuzzSupport

/// Everything that can be fuzzed in the three packages of the ground floor.
let targets: [FuzzTarget] = [
    FuzzTarget("multiaddr-text", fuzzMultiaddrText),
    FuzzTarget("multiaddr-binary", fuzzMultiaddrBinary),
    FuzzTarget("multiformats", fuzzMultiformats),
    FuzzTarget("dns-message", fuzzDNSMessage),
    FuzzTarget("key-protobuf", fuzzKeyProtobuf),
    FuzzTarget("signature", fuzzSignature),
    FuzzTarget("peer-id", fuzzPeerID),
    FuzzTarget("certificate", fuzzCertificate),
    FuzzTarget("certificate-message", fuzzCertificateMessage),
    FuzzTarget("extension", fuzzExtension),
]
