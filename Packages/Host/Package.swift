// swift-tools-version: 6.2
import PackageDescription

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "Host",
    products: [
        .library(name: "Host", targets: ["Host"]),
        // A host in a ServiceGroup; apart, so that hosts without one do not build swift-service-lifecycle.
        .library(name: "HostService", targets: ["HostService"]),
        // The peer store on disk; apart, so that others do not build GRDB.
        .library(name: "HostPeerStoreSQLite", targets: ["HostPeerStoreSQLite"]),
    ],
    dependencies: [
        .package(path: "../Multiaddr"),
        .package(path: "../PeerID"),
        .package(path: "../NetStream"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .target(
            name: "Host",
            dependencies: [
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "NetStream", package: "NetStream"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "HostService",
            dependencies: [
                "Host",
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "HostPeerStoreSQLite",
            dependencies: [
                "Host",
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HostTests",
            dependencies: [
                "Host",
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "NetStream", package: "NetStream"),
                .product(name: "NetStreamTesting", package: "NetStream"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
            ],
            resources: [.copy("Vectors")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HostPeerStoreSQLiteTests",
            dependencies: [
                "Host",
                "HostPeerStoreSQLite",
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "NetStreamTesting", package: "NetStream"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HostServiceTests",
            dependencies: [
                "Host",
                "HostService",
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "NetStream", package: "NetStream"),
                .product(name: "NetStreamTesting", package: "NetStream"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
