// swift-tools-version: 6.2
import PackageDescription

// The umbrella: every target of Packages/ by path, so that one build tests everything and the
// repository can be depended on by URL. Each package's own manifest is the original;
// scripts/check-umbrella fails when the two differ.

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let multiaddr: [Target] = [
    // The one call of the C library's resolver that Swift does not import.
    .target(
        name: "CMultiaddrResolver",
        path: "Packages/Multiaddr/Sources/CMultiaddrResolver",
        linkerSettings: [.linkedLibrary("resolv")]
    ),
    .target(
        name: "Multiaddr",
        dependencies: ["CMultiaddrResolver"],
        path: "Packages/Multiaddr/Sources/Multiaddr",
        swiftSettings: settings
    ),
    .testTarget(
        name: "MultiaddrTests",
        dependencies: ["Multiaddr"],
        path: "Packages/Multiaddr/Tests/MultiaddrTests",
        resources: [.copy("Vectors")],
        swiftSettings: settings
    ),
]

let peerID: [Target] = [
    .systemLibrary(
        name: "CGnuTLS",
        path: "Packages/PeerID/Sources/CGnuTLS",
        pkgConfig: "gnutls",
        providers: [.apt(["libgnutls28-dev"]), .brew(["gnutls"])]
    ),
    .systemLibrary(
        name: "CSodium",
        path: "Packages/PeerID/Sources/CSodium",
        pkgConfig: "libsodium",
        providers: [.apt(["libsodium-dev"]), .brew(["libsodium"])]
    ),
    .systemLibrary(
        name: "CSecp256k1",
        path: "Packages/PeerID/Sources/CSecp256k1",
        pkgConfig: "libsecp256k1",
        providers: [.apt(["libsecp256k1-dev"]), .brew(["secp256k1"])]
    ),
    .target(
        name: "CPeerIDHelpers",
        dependencies: ["CSecp256k1"],
        path: "Packages/PeerID/Sources/CPeerIDHelpers"
    ),
    .target(
        name: "PeerID",
        dependencies: ["CGnuTLS", "CSodium", "CPeerIDHelpers", "Multiaddr"],
        path: "Packages/PeerID/Sources/PeerID",
        swiftSettings: settings
    ),
    .testTarget(
        name: "PeerIDTests",
        dependencies: ["PeerID", "Multiaddr"],
        path: "Packages/PeerID/Tests/PeerIDTests",
        resources: [.copy("Vectors")],
        swiftSettings: settings
    ),
]

let libp2pTLS: [Target] = [
    .target(
        name: "Libp2pTLS",
        dependencies: ["CGnuTLS", "PeerID", .product(name: "SwiftASN1", package: "swift-asn1")],
        path: "Packages/Libp2pTLS/Sources/Libp2pTLS",
        swiftSettings: settings
    ),
    .testTarget(
        name: "Libp2pTLSTests",
        dependencies: ["Libp2pTLS", "CGnuTLS", "PeerID", .product(name: "SwiftASN1", package: "swift-asn1")],
        path: "Packages/Libp2pTLS/Tests/Libp2pTLSTests",
        resources: [.copy("Vectors")],
        swiftSettings: settings
    ),
]

let netStream: [Target] = [
    .target(
        name: "NetStream",
        dependencies: ["Multiaddr", "PeerID"],
        path: "Packages/NetStream/Sources/NetStream",
        swiftSettings: settings
    ),
    .target(
        name: "NetStreamTesting",
        dependencies: ["NetStream", "Multiaddr", "PeerID"],
        path: "Packages/NetStream/Sources/NetStreamTesting",
        swiftSettings: settings
    ),
    .testTarget(
        name: "NetStreamTests",
        dependencies: ["NetStream", "NetStreamTesting", "Multiaddr", "PeerID"],
        path: "Packages/NetStream/Tests/NetStreamTests",
        swiftSettings: settings
    ),
]

let quicTransport: [Target] = [
    // The .pc file of the GnuTLS helper carries the include and library folders of both libraries.
    .systemLibrary(
        name: "CNgtcp2",
        path: "Packages/QuicTransport/Sources/CNgtcp2",
        pkgConfig: "libngtcp2_crypto_gnutls",
        providers: [.apt(["libngtcp2-dev", "libngtcp2-crypto-gnutls-dev"])]
    ),
    .target(
        name: "CNgtcp2Shims",
        dependencies: ["CNgtcp2", "CGnuTLS"],
        path: "Packages/QuicTransport/Sources/CNgtcp2Shims",
        linkerSettings: [
            .linkedLibrary("ngtcp2"), .linkedLibrary("ngtcp2_crypto_gnutls"),
            // Intel's ipsec-mb is optional, and loaded at run time.
            .linkedLibrary("dl", .when(platforms: [.linux])),
        ]
    ),
    .target(
        name: "QuicCore",
        dependencies: [
            "CNgtcp2Shims", "CGnuTLS", "Libp2pTLS", "PeerID",
            .product(name: "DequeModule", package: "swift-collections"),
        ],
        path: "Packages/QuicTransport/Sources/QuicCore",
        swiftSettings: settings
    ),
    // Randomness for GnuTLS that follows from a seed. Nothing but QuicSimulation may depend on it.
    .target(
        name: "CSeededRandom",
        path: "Packages/QuicTransport/Sources/CSeededRandom",
        linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]
    ),
    .target(
        name: "QuicSimulation",
        dependencies: [
            "QuicCore", "CSeededRandom", "Libp2pTLS", "PeerID",
            .product(name: "HeapModule", package: "swift-collections"),
        ],
        path: "Packages/QuicTransport/Sources/QuicSimulation",
        swiftSettings: settings
    ),
    .target(
        name: "CQuicUDP",
        path: "Packages/QuicTransport/Sources/CQuicUDP"
    ),
    .target(
        name: "QuicTransport",
        dependencies: [
            "CQuicUDP",
            "QuicCore", "Libp2pTLS", "Multiaddr", "NetStream", "PeerID",
            .product(name: "DequeModule", package: "swift-collections"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Metrics", package: "swift-metrics"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        path: "Packages/QuicTransport/Sources/QuicTransport",
        swiftSettings: settings
    ),
    .testTarget(
        name: "QuicCoreTests",
        dependencies: ["QuicCore", "CNgtcp2Shims", "CGnuTLS", "Libp2pTLS", "PeerID"],
        path: "Packages/QuicTransport/Tests/QuicCoreTests",
        resources: [.copy("Vectors")],
        swiftSettings: settings
    ),
    .testTarget(
        name: "QuicSimulationTests",
        dependencies: ["QuicSimulation", "QuicCore"],
        path: "Packages/QuicTransport/Tests/QuicSimulationTests",
        swiftSettings: settings
    ),
    .testTarget(
        name: "QuicTransportTests",
        dependencies: [
            "QuicTransport", "QuicCore", "CQuicUDP", "Libp2pTLS", "Multiaddr", "NetStream", "NetStreamTesting",
            "PeerID",
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Metrics", package: "swift-metrics"),
            .product(name: "MetricsTestKit", package: "swift-metrics"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        path: "Packages/QuicTransport/Tests/QuicTransportTests",
        swiftSettings: settings
    ),
]

let host: [Target] = [
    .target(
        name: "Host",
        dependencies: [
            "Multiaddr", "NetStream", "PeerID",
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Metrics", package: "swift-metrics"),
            .product(name: "SwiftProtobuf", package: "swift-protobuf"),
        ],
        path: "Packages/Host/Sources/Host",
        swiftSettings: settings
    ),
    .target(
        name: "HostService",
        dependencies: [
            "Host", "Multiaddr", .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ],
        path: "Packages/Host/Sources/HostService",
        swiftSettings: settings
    ),
    .target(
        name: "HostPeerStoreSQLite",
        dependencies: [
            "Host", "Multiaddr", "PeerID", .product(name: "GRDB", package: "GRDB.swift"),
            .product(name: "Logging", package: "swift-log"),
        ],
        path: "Packages/Host/Sources/HostPeerStoreSQLite",
        swiftSettings: settings
    ),
    .testTarget(
        name: "HostTests",
        // QuicCore, QuicTransport and the setting are the umbrella's alone: with them every test of a host runs on QUIC too.
        dependencies: [
            "Host", "Multiaddr", "NetStream", "NetStreamTesting", "PeerID", "QuicCore", "QuicTransport",
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Metrics", package: "swift-metrics"),
            .product(name: "MetricsTestKit", package: "swift-metrics"),
        ],
        path: "Packages/Host/Tests/HostTests",
        resources: [.copy("Vectors")],
        swiftSettings: settings + [.define("HOSTS_ON_QUIC")]
    ),
    .testTarget(
        name: "HostPeerStoreSQLiteTests",
        dependencies: [
            "Host", "HostPeerStoreSQLite", "Multiaddr", "NetStreamTesting", "PeerID",
            .product(name: "GRDB", package: "GRDB.swift"), .product(name: "Logging", package: "swift-log"),
        ],
        path: "Packages/Host/Tests/HostPeerStoreSQLiteTests",
        swiftSettings: settings
    ),
    .testTarget(
        name: "HostServiceTests",
        dependencies: [
            "Host", "HostService", "Multiaddr", "NetStream", "NetStreamTesting", "PeerID", "QuicTransport",
            .product(name: "Logging", package: "swift-log"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ],
        path: "Packages/Host/Tests/HostServiceTests",
        swiftSettings: settings + [.define("HOSTS_ON_QUIC")]
    ),
]

let package = Package(
    name: "swift-libp2p-quic",
    products: [
        .library(name: "Multiaddr", targets: ["Multiaddr"]),
        .library(name: "PeerID", targets: ["PeerID"]),
        // The one GnuTLS module of the repository: the packages above import it from here.
        .library(name: "CGnuTLS", targets: ["CGnuTLS"]),
        .library(name: "Libp2pTLS", targets: ["Libp2pTLS"]),
        .library(name: "NetStream", targets: ["NetStream"]),
        // The in-memory transport and the compliance suite every transport's tests run.
        .library(name: "NetStreamTesting", targets: ["NetStreamTesting"]),
        .library(name: "QuicTransport", targets: ["QuicTransport"]),
        // The sans-I/O protocol core, for those who bring their own event loop.
        .library(name: "QuicCore", targets: ["QuicCore"]),
        // The core on a simulated network and virtual time, for tests only: it takes over GnuTLS's randomness.
        .library(name: "QuicSimulation", targets: ["QuicSimulation"]),
        .library(name: "Host", targets: ["Host"]),
        // A host in a ServiceGroup; apart, so that hosts without one do not build swift-service-lifecycle.
        .library(name: "HostService", targets: ["HostService"]),
        // The peer store on disk; apart, so that others do not build GRDB.
        .library(name: "HostPeerStoreSQLite", targets: ["HostPeerStoreSQLite"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: multiaddr + peerID + libp2pTLS + netStream + quicTransport + host,
    swiftLanguageModes: [.v6]
)
