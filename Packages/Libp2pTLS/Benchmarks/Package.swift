// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Libp2pTLSBenchmarks",
    dependencies: [.package(path: ".."), .package(path: "../../PeerID")],
    targets: [
        .executableTarget(
            name: "tls-benchmark",
            dependencies: [
                .product(name: "CGnuTLS", package: "PeerID"),
                .product(name: "Libp2pTLS", package: "Libp2pTLS"),
                .product(name: "PeerID", package: "PeerID"),
            ],
            swiftSettings: [.enableUpcomingFeature("MemberImportVisibility")]
        )
    ],
    swiftLanguageModes: [.v6]
)
