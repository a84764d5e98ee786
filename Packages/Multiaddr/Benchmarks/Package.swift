// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "MultiaddrBenchmarks",
    dependencies: [.package(path: "..")],
    targets: [
        .target(name: "CAllocationCount"),
        .executableTarget(
            name: "multiaddr-benchmark",
            dependencies: ["CAllocationCount", .product(name: "Multiaddr", package: "Multiaddr")],
            swiftSettings: [.enableUpcomingFeature("MemberImportVisibility")]
        ),
    ],
    swiftLanguageModes: [.v6]
)
