// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "PeerIDBenchmarks",
    dependencies: [
        .package(path: ".."),
        .package(path: "../../Multiaddr"),
    ],
    targets: [
        .executableTarget(
            name: "peerid-bench",
            dependencies: [
                .product(name: "PeerID", package: "PeerID"),
                .product(name: "Multiaddr", package: "Multiaddr"),
            ]
        )
    ],
    swiftLanguageModes: [.v6]
)
