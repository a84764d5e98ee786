// swift-tools-version: 6.2
import PackageDescription

// scripts/torture, and the measurements of scripts/bench presets, memory and registry. A package of its own, so that
// nobody who depends on a library sees it.

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let quic: [Target.Dependency] = [
    .product(name: "Libp2pTLS", package: "Libp2pTLS"),
    .product(name: "Multiaddr", package: "Multiaddr"),
    .product(name: "NetStream", package: "NetStream"),
    .product(name: "PeerID", package: "PeerID"),
    .product(name: "QuicCore", package: "QuicTransport"),
    .product(name: "QuicTransport", package: "QuicTransport"),
    .product(name: "Logging", package: "swift-log"),
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]

let package = Package(
    name: "Torture",
    dependencies: [
        .package(path: "../../Packages/Libp2pTLS"),
        .package(path: "../../Packages/Multiaddr"),
        .package(path: "../../Packages/NetStream"),
        .package(path: "../../Packages/PeerID"),
        .package(path: "../../Packages/QuicTransport"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        // A network between real sockets: loss, delay, corruption and the rest, from a seed.
        .target(
            name: "UDPProxy",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // Failing system calls, for the scenario of full buffers.
        .target(name: "CSendFaults"),
        // What both programs share: two ends, a proxy between them, what the process uses.
        .target(name: "CTorture"),
        .target(name: "TortureSupport", dependencies: ["CTorture", "UDPProxy"] + quic, swiftSettings: settings),
        .executableTarget(
            name: "torture",
            dependencies: ["CSendFaults", "TortureSupport", "UDPProxy"] + quic,
            swiftSettings: settings
        ),
        .executableTarget(
            name: "quic-bench",
            dependencies: ["TortureSupport", "UDPProxy"] + quic,
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
