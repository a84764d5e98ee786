// swift-tools-version: 6.2
import PackageDescription

// The program of scripts/soak. A package of its own, so that nobody who depends on a library sees it. What the hosts do to
// each other stands in Packages/Host/Tests/HostTests/Soak, which a test runs in small; Sources/soak/Shared links there, which
// scripts/soak makes.

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "Soak",
    dependencies: [
        .package(path: "../../Packages/Multiaddr"),
        .package(path: "../../Packages/PeerID"),
        .package(path: "../../Packages/NetStream"),
        .package(path: "../../Packages/QuicTransport"),
        .package(path: "../../Packages/Host"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        .target(name: "CSoakProcess"),
        .executableTarget(
            name: "soak",
            dependencies: [
                "CSoakProcess",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Host", package: "Host"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "NetStream", package: "NetStream"),
                .product(name: "NetStreamTesting", package: "NetStream"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "QuicCore", package: "QuicTransport"),
                .product(name: "QuicTransport", package: "QuicTransport"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
