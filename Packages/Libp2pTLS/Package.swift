// swift-tools-version: 6.2
import PackageDescription

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "Libp2pTLS",
    products: [
        .library(name: "Libp2pTLS", targets: ["Libp2pTLS"])
    ],
    dependencies: [
        .package(path: "../PeerID"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
    ],
    targets: [
        .target(
            name: "Libp2pTLS",
            dependencies: [
                .product(name: "CGnuTLS", package: "PeerID"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "Libp2pTLSTests",
            dependencies: [
                "Libp2pTLS",
                .product(name: "CGnuTLS", package: "PeerID"),
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ],
            resources: [.copy("Vectors")],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
