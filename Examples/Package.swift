// swift-tools-version: 6.2
import PackageDescription

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// What every example uses, beside the plumbing in ExampleSupport.
let common: [Target.Dependency] = [
    "ExampleSupport",
    .product(name: "ArgumentParser", package: "swift-argument-parser"),
    .product(name: "Host", package: "Host"),
    .product(name: "Multiaddr", package: "Multiaddr"),
    .product(name: "NetStream", package: "NetStream"),
    .product(name: "PeerID", package: "PeerID"),
    .product(name: "QuicTransport", package: "QuicTransport"),
]

let package = Package(
    name: "Examples",
    products: [
        .executable(name: "bench-node", targets: ["bench-node"]),
        .executable(name: "echo", targets: ["echo"]),
        .executable(name: "interop", targets: ["interop"]),
        .executable(name: "interop-node", targets: ["interop-node"]),
        .executable(name: "libp2p", targets: ["libp2p"]),
        .executable(name: "node", targets: ["node"]),
        .executable(name: "perf", targets: ["perf"]),
        .executable(name: "ping", targets: ["ping"]),
    ],
    dependencies: [
        .package(path: "../Packages/Multiaddr"),
        .package(path: "../Packages/PeerID"),
        .package(path: "../Packages/Libp2pTLS"),
        .package(path: "../Packages/NetStream"),
        .package(path: "../Packages/QuicTransport"),
        .package(path: "../Packages/Host"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .target(
            name: "ExampleSupport",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Host", package: "Host"),
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NetStream", package: "NetStream"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "QuicCore", package: "QuicTransport"),
                .product(name: "QuicTransport", package: "QuicTransport"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "bench-node",
            dependencies: common + [
                .product(name: "Logging", package: "swift-log"),
                .product(name: "QuicCore", package: "QuicTransport"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(name: "echo", dependencies: common, swiftSettings: settings),
        .executableTarget(
            name: "interop",
            dependencies: common + [
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "interop-node",
            dependencies: common + [.product(name: "QuicCore", package: "QuicTransport")],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "libp2p",
            dependencies: common + [.product(name: "Libp2pTLS", package: "Libp2pTLS")],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "node",
            dependencies: common + [
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "HostPeerStoreSQLite", package: "Host"),
                .product(name: "HostService", package: "Host"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "perf",
            dependencies: common + [.product(name: "QuicCore", package: "QuicTransport")],
            swiftSettings: settings
        ),
        .executableTarget(name: "ping", dependencies: common, swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
