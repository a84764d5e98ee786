// swift-tools-version: 6.2
import PackageDescription

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "Multiaddr",
    products: [
        .library(name: "Multiaddr", targets: ["Multiaddr"])
    ],
    targets: [
        // The one call of the C library's resolver that Swift does not import.
        .target(name: "CMultiaddrResolver", linkerSettings: [.linkedLibrary("resolv")]),
        .target(name: "Multiaddr", dependencies: ["CMultiaddrResolver"], swiftSettings: settings),
        .testTarget(
            name: "MultiaddrTests",
            dependencies: ["Multiaddr"],
            resources: [.copy("Vectors")],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
