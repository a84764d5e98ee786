// swift-tools-version: 6.2
import PackageDescription

// The measurements of `scripts/bench ground`: Multiaddr, PeerID and Libp2pTLS beside the C libraries below them.
let package = Package(
    name: "GroundBench",
    dependencies: [
        .package(path: "../../../Packages/Multiaddr"),
        .package(path: "../../../Packages/PeerID"),
        .package(path: "../../../Packages/Libp2pTLS"),
    ],
    targets: [
        // Counts allocations, marks regions for callgrind, and calls the C libraries as a C program would.
        .target(
            name: "CGroundBench",
            linkerSettings: [.linkedLibrary("sodium"), .linkedLibrary("secp256k1"), .linkedLibrary("gnutls")]
        ),
        .executableTarget(
            name: "ground-bench",
            dependencies: [
                "CGroundBench",
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            swiftSettings: [
                .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
            ]
        ),
    ],
    swiftLanguageModes: [.v6]
)
