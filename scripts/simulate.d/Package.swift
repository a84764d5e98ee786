// swift-tools-version: 6.2
import PackageDescription

// The program of scripts/simulate. A package of its own, so that nobody who depends on a library sees it.

/// The settings every Swift target of this repository is built with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "Simulate",
    dependencies: [
        .package(path: "../../Packages/QuicTransport"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "quic-simulate",
            dependencies: [
                .product(name: "QuicSimulation", package: "QuicTransport"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        )
    ],
    swiftLanguageModes: [.v6]
)
