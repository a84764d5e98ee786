// swift-tools-version: 6.2
import PackageDescription

// What only checks PeerID and Multiaddr against others: the Swift half of `scripts/interop ground`, and tests with
// swift-protobuf and swift-asn1 as oracles. A package of its own, so that PeerID's tests do not build swift-protobuf.

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "CrossCheck",
    dependencies: [
        .package(path: ".."),
        .package(path: "../../Multiaddr"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    ],
    targets: [
        .executableTarget(
            name: "ground-crosscheck",
            dependencies: [
                .product(name: "Multiaddr", package: "Multiaddr"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "OracleTests",
            dependencies: [
                .product(name: "CGnuTLS", package: "PeerID"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
