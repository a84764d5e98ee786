// swift-tools-version: 6.2
import PackageDescription

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "QuicTransport",
    products: [
        .library(name: "QuicTransport", targets: ["QuicTransport"]),
        // The sans-I/O protocol core, for those who bring their own event loop.
        .library(name: "QuicCore", targets: ["QuicCore"]),
        // The core on a simulated network and virtual time, for tests only: it takes over GnuTLS's randomness.
        .library(name: "QuicSimulation", targets: ["QuicSimulation"]),
    ],
    dependencies: [
        .package(path: "../Multiaddr"),
        .package(path: "../PeerID"),
        .package(path: "../Libp2pTLS"),
        .package(path: "../NetStream"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: [
        // The .pc file of the GnuTLS helper carries the include and library folders of both libraries.
        .systemLibrary(
            name: "CNgtcp2",
            pkgConfig: "libngtcp2_crypto_gnutls",
            providers: [.apt(["libngtcp2-dev", "libngtcp2-crypto-gnutls-dev"])]
        ),
        .target(
            name: "CNgtcp2Shims",
            dependencies: ["CNgtcp2", .product(name: "CGnuTLS", package: "PeerID")],
            linkerSettings: [
                .linkedLibrary("ngtcp2"), .linkedLibrary("ngtcp2_crypto_gnutls"),
                // Intel's ipsec-mb is optional, and loaded at run time.
                .linkedLibrary("dl", .when(platforms: [.linux])),
            ]
        ),
        .target(
            name: "QuicCore",
            dependencies: [
                "CNgtcp2Shims",
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "PeerID", package: "PeerID"),
                // HMAC and random bytes for connection IDs and stateless reset tokens.
                .product(name: "CGnuTLS", package: "PeerID"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: settings
        ),
        // Randomness for GnuTLS that follows from a seed. Nothing but QuicSimulation may depend on it.
        .target(name: "CSeededRandom", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        .target(
            name: "QuicSimulation",
            dependencies: [
                "QuicCore", "CSeededRandom",
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            swiftSettings: settings
        ),
        // Socket calls that Swift cannot express well: control messages, segmentation offload, batch reads.
        .target(name: "CQuicUDP"),
        .target(
            name: "QuicTransport",
            dependencies: [
                "QuicCore", "CQuicUDP",
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "NetStream", package: "NetStream"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "QuicCoreTests",
            dependencies: [
                "QuicCore", "CNgtcp2Shims",
                .product(name: "CGnuTLS", package: "PeerID"),
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            resources: [.copy("Vectors")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "QuicSimulationTests",
            dependencies: ["QuicSimulation", "QuicCore"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "QuicTransportTests",
            dependencies: [
                "QuicTransport", "QuicCore", "CQuicUDP",
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "NetStream", package: "NetStream"),
                .product(name: "NetStreamTesting", package: "NetStream"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
