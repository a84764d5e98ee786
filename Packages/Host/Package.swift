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
        .library(name: "Host", targets: ["Host"])
    ],
    dependencies: [
        .package(path: "../Multiaddr"),
        .package(path: "../PeerID"),
        .package(path: "../NetStream"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
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
        .testTarget(
            name: "HostTests",
            dependencies: [
                "Host",
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "NetStream", package: "NetStream"),
                .product(name: "NetStreamTesting", package: "NetStream"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            resources: [.copy("Vectors")],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
