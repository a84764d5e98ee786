// swift-tools-version: 6.2
import PackageDescription

// The fuzzing targets of scripts/fuzz. A package of its own, so that nobody who depends on a library sees them; the
// flags that make a fuzzer of it are given by scripts/fuzz.

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "Fuzz",
    dependencies: [
        .package(path: "../../Packages/Multiaddr"),
        .package(path: "../../Packages/PeerID"),
        .package(path: "../../Packages/Libp2pTLS"),
        .package(path: "../../Packages/QuicTransport"),
        .package(path: "../../Packages/Host"),
    ],
    targets: [
        // Declares libFuzzer's entry point, which Swift cannot.
        .target(name: "CFuzzDriver"),
        .target(name: "FuzzSupport", dependencies: ["CFuzzDriver"], swiftSettings: settings),
        .executableTarget(
            name: "ground-fuzz",
            dependencies: [
                "FuzzSupport",
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "quic-fuzz",
            dependencies: [
                "FuzzSupport",
                .product(name: "QuicCore", package: "QuicTransport"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "host-fuzz",
            dependencies: [
                "FuzzSupport",
                .product(name: "Host", package: "Host"),
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
