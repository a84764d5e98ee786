// swift-tools-version: 6.2
import PackageDescription

// The programs of scripts/simulate and of scripts/bench instructions. A package of its own, so that nobody who depends on a library sees it.

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "Simulate",
    dependencies: [
        .package(path: "../../Packages/Libp2pTLS"),
        .package(path: "../../Packages/PeerID"),
        .package(path: "../../Packages/QuicTransport"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "quic-simulate",
            dependencies: [
                .product(name: "QuicSimulation", package: "QuicTransport"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "quic-instructions",
            dependencies: [
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "QuicCore", package: "QuicTransport"),
                .product(name: "QuicSimulation", package: "QuicTransport"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
