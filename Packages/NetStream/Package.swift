// swift-tools-version: 6.2
import PackageDescription

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "NetStream",
    products: [
        .library(name: "NetStream", targets: ["NetStream"]),
        // The in-memory transport and the compliance suite every transport's tests run.
        .library(name: "NetStreamTesting", targets: ["NetStreamTesting"]),
    ],
    dependencies: [
        .package(path: "../Multiaddr"),
        .package(path: "../PeerID"),
    ],
    targets: [
        .target(
            name: "NetStream",
            dependencies: [
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "NetStreamTesting",
            dependencies: [
                "NetStream",
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "NetStreamTests",
            dependencies: [
                "NetStream", "NetStreamTesting",
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
