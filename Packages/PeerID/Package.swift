// swift-tools-version: 6.2
import PackageDescription

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "PeerID",
    products: [
        .library(name: "PeerID", targets: ["PeerID"]),
        // The one GnuTLS module of the repository: the packages above import it from here.
        .library(name: "CGnuTLS", targets: ["CGnuTLS"]),
    ],
    dependencies: [
        .package(path: "../Multiaddr")
    ],
    targets: [
        .systemLibrary(
            name: "CGnuTLS",
            pkgConfig: "gnutls",
            providers: [.apt(["libgnutls28-dev"]), .brew(["gnutls"])]
        ),
        .systemLibrary(
            name: "CSodium",
            pkgConfig: "libsodium",
            providers: [.apt(["libsodium-dev"]), .brew(["libsodium"])]
        ),
        .systemLibrary(
            name: "CSecp256k1",
            pkgConfig: "libsecp256k1",
            providers: [.apt(["libsecp256k1-dev"]), .brew(["secp256k1"])]
        ),
        .target(name: "CPeerIDHelpers", dependencies: ["CSecp256k1"]),
        .target(
            name: "PeerID",
            dependencies: [
                "CGnuTLS", "CSodium", "CPeerIDHelpers",
                .product(name: "Multiaddr", package: "Multiaddr"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "PeerIDTests",
            dependencies: ["PeerID", .product(name: "Multiaddr", package: "Multiaddr")],
            resources: [.copy("Vectors")],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
